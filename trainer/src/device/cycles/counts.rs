//! The file that the plug-in writes: which block of instructions followed which, and how often.

/// A block: instructions that are executed one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) address: u64,
    pub(super) instructions: usize,
}

/// How often a block was followed by another, both as indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) count: u64,
    /// The layer whose record was read last; `None` before the first record.
    pub(super) layer: Option<usize>,
}

/// Everything that the plug-in counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) blocks: Vec<Block>,
    /// The steps of each window from a start of the counter to its stop; the first window measures
    /// an empty closure.
    pub(super) windows: Vec<Vec<Step>>,
}

impl Counts {
    /// Parses `text`. A window that is cut off at the end is dropped.
    ///
    /// # Errors
    ///
    /// Returns the first malformed line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut counts = Self::default();
        let mut layer = None;
        for line in text.lines() {
            counts
                .read(line, &mut layer)
                .ok_or_else(|| format!("the line `{line}` of the counts is malformed"))?;
        }
        Ok(counts)
    }

    /// Parses `line`, where `layer` is the current layer.
    fn read(&mut self, line: &str, layer: &mut Option<usize>) -> Option<()> {
        let mut words = line.split(' ');
        match words.next()? {
            "block" => {
                if words.next()?.parse::<usize>().ok()? != self.blocks.len() {
                    return None;
                }
                self.blocks.push(Block {
                    address: words.next()?.parse().ok()?,
                    instructions: words.next()?.parse().ok()?,
                });
            }
            "window" => {
                self.windows.push(Vec::new());
                *layer = None;
            }
            "layer" => *layer = Some(words.next()?.parse().ok()?),
            from => {
                let from: usize = from.parse().ok()?;
                let window = self.windows.last_mut()?;
                for word in words {
                    let (to, count) = word.split_once(':')?;
                    let step = Step {
                        from,
                        to: to.parse().ok()?,
                        count: count.parse().ok()?,
                        layer: *layer,
                    };
                    if from.max(step.to) >= self.blocks.len() {
                        return None;
                    }
                    window.push(step);
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_steps_and_layers_are_parsed() {
        let text =
            "block 0 100 5\nblock 1 200 6\nwindow\n0 1:2\nwindow\n0 1:3 0:4\nlayer 2\n1 0:5\n";
        let counts = Counts::parse(text).unwrap();
        assert_eq!(
            counts.blocks[1],
            Block {
                address: 200,
                instructions: 6
            }
        );
        let step = |from, to, count, layer| Step {
            from,
            to,
            count,
            layer,
        };
        assert_eq!(
            counts.windows,
            [
                vec![step(0, 1, 2, None)],
                vec![
                    step(0, 1, 3, None),
                    step(0, 0, 4, None),
                    step(1, 0, 5, Some(2))
                ],
            ]
        );
    }

    #[test]
    fn malformed_lines_are_rejected() {
        for text in [
            "block 1 100 5",
            "block 0 100",
            "block 0 x 5",
            "0 0:1",
            "block 0 1 2\nwindow\n0 1:1",
            "block 0 1 2\nwindow\n0 0",
            "block 0 1 2\nwindow\nlayer\n",
            "what",
        ] {
            assert!(Counts::parse(text).is_err(), "{text}");
        }
    }
}
