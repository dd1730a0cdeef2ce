//! Compressed sparse rows: for each row gather the inputs its columns name.

use rarefy_format::Csr;

use super::Kernel;
use crate::output::Finish;

impl Kernel for Csr<'_> {
    #[inline]
    fn run<F: Finish>(self, bias: &[i32], input: &[u8], finish: F, output: &mut [F::Output]) {
        for (((columns, values), &bias), output) in self.rows().zip(bias).zip(output) {
            let mut acc = bias;
            for (&column, &value) in columns.iter().zip(values) {
                let activation = input.get(usize::from(column)).copied().unwrap_or(0);
                acc = acc.wrapping_add(i32::from(value) * i32::from(activation));
            }
            *output = finish.finish(acc);
        }
    }
}
