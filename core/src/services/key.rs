//! Names of services, and what they ask of each other.

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::container::Resolver;
use crate::error::Result;

/// How long a service lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// One for all.
    Singleton,
    /// One for each [`Scope`](super::Scope).
    Scoped,
    /// A new one each time.
    Transient,
}

/// Type of a service, with a name where there are several of one type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    type_id: TypeId,
    type_name: &'static str,
    name: Option<Cow<'static, str>>,
}

impl Key {
    /// The service of this type.
    pub fn of<T: ?Sized + 'static>() -> Self {
        Self { type_id: TypeId::of::<T>(), type_name: std::any::type_name::<T>(), name: None }
    }

    /// The service of this type and name.
    pub fn named<T: ?Sized + 'static>(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: Some(name.into()), ..Self::of::<T>() }
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.type_id == other.type_id
    }
}

/// `Clock`, `Store 'main'`: the type without its path.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.type_name.strip_prefix("dyn ").unwrap_or(self.type_name);
        // The path of the type itself, not of its parameters.
        let own = path.split('<').next().unwrap_or(path);
        f.write_str(&path[own.rfind("::").map_or(0, |i| i + 2)..])?;
        match &self.name {
            Some(name) => write!(f, " '{name}'"),
            None => Ok(()),
        }
    }
}

/// What a service asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Which service.
    pub key: Key,
    /// It can do without.
    pub optional: bool,
}

/// Something that a constructor can ask for: `Arc<T>`, `Option<Arc<T>>` for what it can do without, [`Named`], and tuples of
/// these. So what a service depends on is stated by types, and can be checked without making anything.
pub trait Inject: Sized {
    /// Adds what is needed.
    fn dependencies(needed: &mut Vec<Dependency>);
    /// Gets it.
    ///
    /// # Errors
    /// Those of the constructors.
    fn inject(from: &Resolver) -> Result<Self>;
}

impl<T: ?Sized + Send + Sync + 'static> Inject for Arc<T> {
    fn dependencies(needed: &mut Vec<Dependency>) {
        needed.push(Dependency { key: Key::of::<T>(), optional: false });
    }
    fn inject(from: &Resolver) -> Result<Self> {
        from.get(&Key::of::<T>())
    }
}

impl<T: ?Sized + Send + Sync + 'static> Inject for Option<Arc<T>> {
    fn dependencies(needed: &mut Vec<Dependency>) {
        needed.push(Dependency { key: Key::of::<T>(), optional: true });
    }
    fn inject(from: &Resolver) -> Result<Self> {
        from.get_optional(&Key::of::<T>())
    }
}

/// A name as a type, for [`Named`].
pub trait Name: 'static {
    /// It.
    const NAME: &'static str;
}

/// The service of type `T` with the name `N`.
pub struct Named<T: ?Sized, N> {
    /// It.
    pub service: Arc<T>,
    name: PhantomData<fn() -> N>,
}

impl<T: ?Sized + Send + Sync + 'static, N: Name> Inject for Named<T, N> {
    fn dependencies(needed: &mut Vec<Dependency>) {
        needed.push(Dependency { key: Key::named::<T>(N::NAME), optional: false });
    }
    fn inject(from: &Resolver) -> Result<Self> {
        Ok(Self { service: from.get(&Key::named::<T>(N::NAME))?, name: PhantomData })
    }
}

macro_rules! inject_tuples {
    ($(($($t:ident)*))*) => {$(
        impl<$($t: Inject),*> Inject for ($($t,)*) {
            fn dependencies(_needed: &mut Vec<Dependency>) {
                $($t::dependencies(_needed);)*
            }
            fn inject(_from: &Resolver) -> Result<Self> {
                Ok(($($t::inject(_from)?,)*))
            }
        }
    )*};
}
inject_tuples! { () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) }
