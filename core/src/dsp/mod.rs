//! Building blocks of the filters and meters.
