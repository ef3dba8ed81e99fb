//! Sections of a design, without allocation.

use super::Coefficients;

/// Up to [`SectionList::CAPACITY`] sections without allocation, for designs that change while a filter runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SectionList {
    sections: [Coefficients; Self::CAPACITY],
    count: usize,
}

impl SectionList {
    /// Most sections.
    pub const CAPACITY: usize = 32;

    /// Appends a section. Beyond the capacity it is left out; no design comes near.
    pub fn push(&mut self, section: Coefficients) {
        debug_assert!(self.count < Self::CAPACITY);
        if let Some(free) = self.sections.get_mut(self.count) {
            *free = section;
            self.count += 1;
        }
    }
}

impl Default for SectionList {
    fn default() -> Self {
        Self { sections: [Coefficients::IDENTITY; Self::CAPACITY], count: 0 }
    }
}

impl std::ops::Deref for SectionList {
    type Target = [Coefficients];
    fn deref(&self) -> &[Coefficients] {
        &self.sections[..self.count]
    }
}

impl Extend<Coefficients> for SectionList {
    fn extend<T: IntoIterator<Item = Coefficients>>(&mut self, sections: T) {
        sections.into_iter().for_each(|s| self.push(s));
    }
}

impl From<Coefficients> for SectionList {
    fn from(section: Coefficients) -> Self {
        let mut list = Self::default();
        list.push(section);
        list
    }
}
