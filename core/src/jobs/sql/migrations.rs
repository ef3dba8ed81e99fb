//! Versions of a store's tables, and the way from one to another.

use crate::error::{Error, Result};

/// From one version to the next, and back.
pub(in crate::jobs) struct Migration {
    pub up: &'static str,
    pub down: &'static str,
}

/// The scripts that lead from version `from` to version `to` of those that `known` makes.
///
/// # Errors
/// [`Error::Unsupported`] when either is newer than this program.
pub(in crate::jobs) fn way(known: &[Migration], from: usize, to: usize) -> Result<Vec<&'static str>> {
    let newest = known.len();
    if from.max(to) > newest {
        return Err(Error::Unsupported {
            what: "version of a job store",
            value: from.max(to).to_string(),
            hint: Some(format!("this program knows versions up to {newest}; use a newer one")),
        });
    }
    let up = known.iter().take(to).skip(from).map(|m| m.up);
    let down = known.iter().take(from).skip(to).rev().map(|m| m.down);
    Ok(up.chain(down).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_goes_up_and_down_and_not_beyond_what_is_known() {
        let known = [Migration { up: "+1", down: "-1" }, Migration { up: "+2", down: "-2" }];
        assert_eq!(way(&known, 0, 2).unwrap(), ["+1", "+2"]);
        assert_eq!(way(&known, 1, 2).unwrap(), ["+2"]);
        assert_eq!(way(&known, 2, 0).unwrap(), ["-2", "-1"]);
        assert!(way(&known, 2, 2).unwrap().is_empty());
        assert!(matches!(way(&known, 3, 0), Err(Error::Unsupported { value, .. }) if value == "3"));
        assert!(matches!(way(&known, 0, 3), Err(Error::Unsupported { value, .. }) if value == "3"));
    }
}
