//! Least-significant-bit-first reading, as WavPack stores all its bit streams.

/// Reads bits of `data`; after the end there are ones, which no valid code runs into.
#[derive(Debug, Clone)]
pub(super) struct LsbBits<'a> {
    data: &'a [u8],
    pos: usize,
    /// Loaded bits, right-justified. Bits from `count` on may already hold true data.
    cache: u64,
    count: u32,
}

impl<'a> LsbBits<'a> {
    /// Starts at the first bit.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0, cache: 0, count: 0 }
    }

    /// True when more was read than there is.
    pub fn overrun(&self) -> bool {
        self.pos * 8 > self.data.len() * 8 + self.count as usize
    }

    /// Makes at least 56 bits available.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(word) = self.data.get(self.pos..).and_then(|d| d.first_chunk::<8>()) {
            self.cache |= u64::from_le_bytes(*word) << self.count;
            self.pos += (63 - self.count as usize) >> 3;
            self.count |= 56;
        } else {
            while self.count < 56 {
                let byte = self.data.get(self.pos).copied().unwrap_or(0xFF);
                self.cache |= u64::from(byte) << self.count;
                self.count += 8;
                self.pos += 1;
            }
        }
    }

    #[inline(always)]
    fn consume(&mut self, bits: u32) {
        self.cache >>= bits;
        self.count -= bits;
    }

    /// Next `bits` bits, 0 to 32.
    #[inline]
    pub fn take(&mut self, bits: u32) -> u32 {
        if self.count < bits {
            self.refill();
        }
        let value = (self.cache & ((1_u64 << bits) - 1)) as u32;
        self.consume(bits);
        value
    }

    /// Next bit.
    #[inline]
    pub fn bit(&mut self) -> bool {
        self.take(1) != 0
    }

    /// Number of one bits before the next zero bit, which is read too; at most `max`, and then there is no zero bit read.
    /// `max` is at most 40.
    #[inline]
    pub fn ones(&mut self, max: u32) -> u32 {
        if self.count <= max {
            self.refill();
        }
        let ones = (!self.cache).trailing_zeros().min(max);
        self.consume(if ones < max { ones + 1 } else { max });
        ones
    }

    /// A value of 0 to `max` in as few bits as possible: truncated binary code.
    #[inline]
    pub fn code(&mut self, max: u32) -> u32 {
        if max < 2 {
            return if max == 0 { 0 } else { self.take(1) };
        }
        let bits = 32 - max.leading_zeros();
        let short = ((1_u64 << bits) - u64::from(max) - 1) as u32;
        let code = self.take(bits - 1);
        if code < short { code } else { code.wrapping_mul(2).wrapping_sub(short).wrapping_add(self.take(1)) }
    }

    /// A number of any size: its bit count in unary, then its bits below the leading one. `None` when there are too many.
    pub fn gamma(&mut self) -> Option<u32> {
        match self.ones(33) {
            33 => None,
            n @ 0..=1 => Some(n),
            n => Some(1_u32.checked_shl(n - 1)? | self.take(n - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_from_the_bottom() {
        let mut b = LsbBits::new(&[0b1010_0111, 0xFF, 0x00]);
        assert_eq!((b.ones(10), b.take(4), b.take(8), b.overrun()), (3, 0b1010, 0xFF, false));
        assert_eq!((b.take(8), b.overrun()), (0, false));
        assert_eq!((b.take(8), b.overrun()), (0xFF, true));
    }

    #[test]
    fn truncated_binary_codes_cover_their_range() {
        // With max = 4: codes 00, 01 (read backwards: low bits first), 10, then 11 + one bit.
        let mut b = LsbBits::new(&[0b1110_0100, 0b1111_1110]);
        assert_eq!([b.code(4), b.code(4), b.code(4), b.code(4)], [0, 1, 2, 3]);
        assert_eq!(b.code(0), 0);
    }

    #[test]
    fn gamma_numbers() {
        // 0; 10 -> 1; 110 + 1 bit -> 2 or 3 (bits are written from the bottom).
        let mut b = LsbBits::new(&[0b101_1010, 0b1111_1110]);
        assert_eq!([b.gamma(), b.gamma(), b.gamma()], [Some(0), Some(1), Some(3)]);
        assert_eq!(LsbBits::new(&[]).gamma(), None);
    }
}
