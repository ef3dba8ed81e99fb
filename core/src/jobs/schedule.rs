//! Schedules: requests that are made again and again, at the times of a cron expression.

use std::cmp::Ordering;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Year};
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::job::{JobSpec, Unique, check_name};
use super::when::{days_from_civil, format_time};
use crate::error::{Error, Result};

/// A tick that is looked at later than this was missed.
const GRACE_MS: u64 = 60_000;
/// Jobs that one look makes of a schedule, at most; the others come with the next look.
const TICKS_AT_ONCE: usize = 1000;

/// What becomes of ticks that nobody saw, because no worker ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissedTicks {
    /// Nothing: a tick makes a job within a minute, or none.
    Skip,
    /// One job for all of them together.
    #[default]
    Once,
    /// A job for each.
    All,
}

/// A request that is made again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Its name; one of the same name is replaced.
    pub name: String,
    /// When, as a cron expression of five fields (minute, hour, day, month, day of the week) or six (seconds first), or such as
    /// `@daily`. In UTC.
    pub cron: String,
    /// What is wanted each time. Without a unique key of its own, the key is that of the schedule and the tick.
    pub spec: JobSpec,
    /// What becomes of ticks that nobody saw.
    #[serde(default)]
    pub missed: MissedTicks,
}

/// A schedule and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleStatus {
    /// What was asked for.
    pub schedule: Schedule,
    /// When it was added; all times are in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// The next tick; none when there will not be another.
    pub next_ms: Option<u64>,
    /// The last tick that a job was made for.
    pub last_ms: Option<u64>,
    /// Jobs that were made.
    pub made: u64,
}

impl Schedule {
    /// # Errors
    /// [`Error::InvalidValue`] for the name and the expression; [`Error::Conflict`] for a request with a time of its own; those of
    /// [`JobSpec::validate`].
    pub fn validate(&self) -> Result<()> {
        check_name("schedule", &self.name)?;
        parse(&self.cron)?;
        if self.spec.run_at_ms.is_some() {
            return Err(Error::Conflict { what: "the jobs of a schedule begin at its ticks, not at run_at_ms".into() });
        }
        self.spec.validate()
    }

    /// The first tick after a time, in milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for the expression.
    pub fn next_after(&self, unix_ms: u64) -> Result<Option<u64>> {
        Ok(next(&parse(&self.cron)?, unix_ms))
    }

    /// The request for a tick.
    pub(super) fn request(&self, tick_ms: u64) -> JobSpec {
        let mut spec = JobSpec { run_at_ms: Some(tick_ms), ..self.spec.clone() };
        spec.unique.get_or_insert_with(|| Unique {
            key: format!("schedule:{}@{}", self.name, format_time(tick_ms)),
            // For ever: of a schedule, a tick is there once.
            window_ms: Some(tick_ms),
            replace: false,
        });
        spec
    }
}

impl ScheduleStatus {
    /// A schedule from now on. In place of an `old` one with the same times it goes on where that was.
    pub(super) fn new(schedule: Schedule, old: Option<Self>, now_ms: u64) -> Result<Self> {
        schedule.validate()?;
        let same = old.filter(|old| old.schedule.cron == schedule.cron);
        if let Some(old) = same {
            return Ok(Self { schedule, ..old });
        }
        let next_ms = schedule.next_after(now_ms)?;
        Ok(Self { schedule, created_ms: now_ms, next_ms, last_ms: None, made: 0 })
    }

    /// Moves beyond now; the ticks that a job is to be made for.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Result<Vec<u64>> {
        let Some(first) = self.next_ms.filter(|at| *at <= now_ms) else { return Ok(Vec::new()) };
        let cron = parse(&self.schedule.cron)?;
        if self.schedule.missed == MissedTicks::All {
            let mut due = vec![first];
            self.next_ms = next(&cron, first);
            while let Some(tick) = self.next_ms.filter(|at| *at <= now_ms && due.len() < TICKS_AT_ONCE) {
                due.push(tick);
                self.next_ms = next(&cron, tick);
            }
            return Ok(due);
        }
        let last = previous(&cron, now_ms).filter(|at| *at >= first).unwrap_or(first);
        self.next_ms = next(&cron, now_ms);
        let missed = self.schedule.missed == MissedTicks::Skip && now_ms - last > GRACE_MS;
        Ok(if missed { Vec::new() } else { vec![last] })
    }
}

fn parse(cron: &str) -> Result<Cron> {
    let parsed = CronParser::builder().year(Year::Disallowed).build().parse(cron);
    parsed.map_err(|e| Error::InvalidValue {
        name: "cron".into(),
        value: cron.into(),
        allowed: format!("minute, hour, day, month and day of the week, such as '30 4 * * 1-5' ({e})"),
    })
}

fn next(cron: &Cron, after_ms: u64) -> Option<u64> {
    cron.find_next_occurrence(&Utc(i64::try_from(after_ms / 1000).ok()?), false).ok()?.unix_ms()
}

fn previous(cron: &Cron, now_ms: u64) -> Option<u64> {
    cron.find_previous_occurrence(&Utc(i64::try_from(now_ms / 1000).ok()?), true).ok()?.unix_ms()
}

/// Seconds since 1970-01-01, as the parser of expressions reads time.
#[derive(Debug, Clone, Copy)]
struct Utc(i64);

impl Utc {
    fn unix_ms(self) -> Option<u64> {
        u64::try_from(self.0).ok()?.checked_mul(1000)
    }
}

impl CronDateTime for Utc {
    fn to_civil(&self) -> CivilDateTime {
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400) as u32);
        let (year, month, day) = civil_from_days(days);
        let date = CivilDate::from_parts_unchecked(year, month, day);
        CivilDateTime::new(date, CivilTime::from_parts_unchecked(second / 3600, second / 60 % 60, second % 60))
    }

    fn civil_weekday(&self) -> Weekday {
        // 1970-01-01 was a Thursday.
        Weekday::from_days_from_sunday((self.0.div_euclid(86_400) + 4).rem_euclid(7) as u32)
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let days = days_from_civil(civil.year().into(), civil.month().into(), civil.day().into());
        let second = civil.hour() * 3600 + civil.minute() * 60 + civil.second();
        Ok(Resolution::Single(Self(days * 86_400 + i64::from(second))))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(seconds).map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

/// H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil_from_days(days: i64) -> (i32, u32, u32) {
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as u32, (day_of_year - (153 * mp + 2) / 5 + 1) as u32)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::jobs::parse_time;

    fn schedule(cron: &str) -> Schedule {
        let spec = JobSpec::new("k", Value::Null);
        Schedule { name: "s".into(), cron: cron.into(), spec, missed: MissedTicks::All }
    }

    #[test]
    fn ticks_are_those_of_the_calendar() {
        // 2026-11-23 is a Monday; 2028 is the next leap year.
        for (cron, after, next) in [
            ("*/15 * * * *", "2026-11-23T05:00:00Z", "2026-11-23T05:15:00.000Z"),
            ("*/15 * * * *", "2026-11-23T05:14:59.999Z", "2026-11-23T05:15:00.000Z"),
            ("30 4 * * 1-5", "2026-11-27T04:30:00Z", "2026-11-30T04:30:00.000Z"),
            ("0 0 29 2 *", "2026-11-23T05:00:00Z", "2028-02-29T00:00:00.000Z"),
            ("0 0 L * *", "2027-02-01T00:00:00Z", "2027-02-28T00:00:00.000Z"),
            ("0 12 * * SUN", "2026-11-23T05:00:00Z", "2026-11-29T12:00:00.000Z"),
            ("@monthly", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00.000Z"),
            ("*/20 * * * * *", "2026-12-31T23:59:40Z", "2027-01-01T00:00:00.000Z"),
        ] {
            let found = schedule(cron).next_after(parse_time(after).unwrap()).unwrap().unwrap();
            assert_eq!(format_time(found), next, "{cron} after {after}");
        }
        assert_eq!(schedule("0 0 30 2 *").next_after(0).unwrap(), None, "there is no 30th of February");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        schedule("* * * * *").validate().unwrap();
        for cron in ["", "* * * *", "61 * * * *", "* * * * MOO", "now", "* * * * * * 2030"] {
            assert!(matches!(schedule(cron).validate(), Err(Error::InvalidValue { .. })), "{cron}");
        }
        let nameless = Schedule { name: String::new(), ..schedule("* * * * *") };
        assert!(nameless.validate().is_err());
        let mut timed = schedule("* * * * *");
        timed.spec.run_at_ms = Some(1);
        assert!(matches!(timed.validate(), Err(Error::Conflict { .. })));
    }

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        for days in (-1_000_000..1_000_000).step_by(89) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year.into(), month.into(), day.into()), days);
        }
    }

    #[test]
    fn many_missed_ticks_come_in_parts_and_none_is_left_out() {
        let begun = parse_time("2026-01-01T00:00:00Z").unwrap();
        let mut status = ScheduleStatus::new(schedule("* * * * *"), None, begun).unwrap();
        let now_ms = begun + 2500 * 60_000 + 30_000;
        let mut ticks = Vec::new();
        let mut looks = 0;
        while status.next_ms.is_some_and(|at| at <= now_ms) {
            ticks.extend(status.take_due(now_ms).unwrap());
            looks += 1;
        }
        assert_eq!(looks, 3);
        assert_eq!(ticks, (1..=2500).map(|n| begun + n * 60_000).collect::<Vec<_>>());
    }
}
