//! Nothing unwinds across a language border.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::error::{Error, Result};

thread_local! {
    /// How many guarded calls this thread is in.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
    /// Where the last panic of a guarded call happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic becomes [`Error::Panic`] with its place, and nothing is printed for it.
///
/// Every function that another language calls goes through here. The first call puts a panic hook before the one that is
/// installed; it keeps quiet about guarded panics only.
///
/// # Errors
/// Those of `work`; [`Error::Panic`].
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if INSIDE.get() == 0 {
                return before(info);
            }
            let place = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
            PLACE.with_borrow_mut(|p| *p = place);
        }));
    });
    INSIDE.set(INSIDE.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(INSIDE.get() - 1);
    outcome.unwrap_or_else(|payload| {
        let place = PLACE.with_borrow_mut(Option::take);
        let what = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (None, Some(text)) => text.clone(),
            (None, None) => "without words".to_owned(),
        };
        Err(Error::Panic { what, place })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_place() {
        let error = guarded::<()>(|| panic!("at {}", 7)).unwrap_err();
        let Error::Panic { what, place: Some(place) } = &error else { panic!("{error:?}") };
        assert_eq!(what, "at 7");
        assert!(place.contains("guard.rs:"), "{place}");
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
    }

    #[test]
    fn guarded_calls_nest() {
        let outer = guarded(|| {
            let inner = guarded::<()>(|| panic!("inner"));
            assert!(matches!(inner, Err(Error::Panic { .. })));
            Ok(1)
        });
        assert_eq!(outer.unwrap(), 1);
    }
}
