//! The time left of a progress bar.

use std::time::{Duration, Instant};

/// The time that must pass before a speed is trusted.
const FIRST: Duration = Duration::from_millis(500);

/// The shortest time left that is shown.
const LEAST: Duration = Duration::from_secs(1);

/// The speed of a progress bar since its first update, or since something changed it.
#[derive(Debug, Default)]
pub(super) struct Speed {
    /// The position and the time of the first update; `None` before it.
    first: Option<(u64, Instant)>,
}

impl Speed {
    /// Forgets the speed so far: it is measured from the next update on.
    pub(super) fn forget(&mut self) {
        self.first = None;
    }

    /// Notes that the bar is at `position` at the time `now`. A bar that goes back starts again.
    pub(super) fn update(&mut self, position: u64, now: Instant) {
        if self.first.is_none_or(|(first, _)| position < first) {
            self.first = Some((position, now));
        }
    }

    /// Returns the time left of a bar that is at `position` of `length` at the time `now`; `None`
    /// if it is not known yet, or if it is shorter than [`LEAST`].
    pub(super) fn left(&self, position: u64, length: u64, now: Instant) -> Option<Duration> {
        let (first, begin) = self.first?;
        let done = position.checked_sub(first).filter(|&done| done > 0)?;
        let spent = now.saturating_duration_since(begin);
        if spent < FIRST {
            return None;
        }
        let rest = length.saturating_sub(position) as f64 / done as f64;
        // A time too long for a `Duration` counts as unknown, too.
        let left = Duration::try_from_secs_f64(spent.as_secs_f64() * rest).ok()?;
        (left >= LEAST).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_speed_since_the_first_update() {
        let begin = Instant::now();
        let after = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let mut speed = Speed::default();
        assert_eq!(speed.left(0, 100, begin), None);
        // An earlier process did 40 of 100.
        speed.update(40, begin);
        speed.update(41, after(0.1));
        assert_eq!(speed.left(40, 100, after(9.0)), None);
        assert_eq!(speed.left(41, 100, after(0.1)), None);
        // 10 in 5 s leave 50, which take 25 s.
        speed.update(50, after(5.0));
        let left = |speed: &Speed, position, seconds| speed.left(position, 100, after(seconds));
        assert_eq!(left(&speed, 50, 5.0), Some(Duration::from_secs(25)));
        // A pause makes the time left longer.
        assert_eq!(left(&speed, 50, 10.0), Some(Duration::from_secs(50)));
        assert_eq!(left(&speed, 100, 30.0), None);
        speed.forget();
        assert_eq!(left(&speed, 60, 31.0), None);
        speed.update(60, after(31.0));
        speed.update(80, after(32.0));
        assert_eq!(left(&speed, 80, 32.0), Some(Duration::from_secs(1)));
        // Another file starts from nothing.
        speed.update(0, after(40.0));
        assert_eq!(left(&speed, 50, 42.0), Some(Duration::from_secs(2)));
    }
}
