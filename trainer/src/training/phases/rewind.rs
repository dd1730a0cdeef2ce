//! Rewinding: restores the weights of an earlier step of the first training phase (Frankle & Carbin
//! 2019; Frankle et al. 2020). The masks do not change.

use super::point::Point;
use crate::network::State;
use crate::training::error::TrainError;
use crate::training::layout;
use crate::training::recipe::Rewind;
use crate::training::session::Session;

impl Session<'_> {
    /// Rewinds the weights of `point`. `initial` are the weights before training.
    ///
    /// # Errors
    /// Returns an error if the saved weights cannot be read.
    pub(in crate::training) fn rewind(
        &self,
        options: Rewind,
        initial: &State,
        point: &mut Point,
    ) -> Result<(), TrainError> {
        point.state = match options.to {
            0 => initial.clone(),
            step => {
                let path = self.folder.file(&layout::rewind(step));
                let (state, _) = State::load(&path)?;
                state.check(initial, &path)?;
                state
            }
        };
        point.given = None;
        point.is_trained = options.to > 0;
        Ok(())
    }
}
