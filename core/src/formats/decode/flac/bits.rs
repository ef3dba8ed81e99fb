//! Most-significant-bit-first reading of a byte slice, with the Rice code of FLAC.

/// Reads bits of `data`. Past the end there are zeros; [`Bits::overrun`] tells.
#[derive(Debug, Clone)]
pub(crate) struct Bits<'a> {
    data: &'a [u8],
    /// Next byte to load.
    pos: usize,
    /// Loaded bits, left-justified. Bits below `count` may already hold true data: loading them again changes nothing.
    cache: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// Starts at the first bit.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0, cache: 0, count: 0 }
    }

    /// Number of bits read.
    pub fn position(&self) -> usize {
        self.pos * 8 - self.count as usize
    }

    /// True when more was read than there is.
    pub fn overrun(&self) -> bool {
        self.position() > self.data.len() * 8
    }

    /// Makes at least 56 bits available.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(word) = self.data.get(self.pos..).and_then(|d| d.first_chunk::<8>()) {
            self.cache |= u64::from_be_bytes(*word) >> self.count;
            self.pos += (63 - self.count as usize) >> 3;
            self.count |= 56;
        } else {
            self.refill_at_end();
        }
    }

    #[cold]
    fn refill_at_end(&mut self) {
        while self.count < 56 {
            let byte = self.data.get(self.pos).copied().unwrap_or(0);
            self.cache |= u64::from(byte) << (56 - self.count);
            self.count += 8;
            self.pos += 1;
        }
    }

    #[inline(always)]
    fn consume(&mut self, bits: u32) {
        self.cache <<= bits;
        self.count -= bits;
    }

    /// Next `bits` bits, 0 to 32.
    #[inline]
    pub fn take(&mut self, bits: u32) -> u32 {
        if self.count < bits {
            self.refill();
        }
        let value = (self.cache >> 1 >> (63 - bits)) as u32;
        self.consume(bits);
        value
    }

    /// Next `bits` bits in two's complement, 0 to 32.
    #[inline]
    pub fn take_signed(&mut self, bits: u32) -> i32 {
        if bits == 0 { 0 } else { (self.take(bits) << (32 - bits)) as i32 >> (32 - bits) }
    }

    /// As [`Bits::take_signed`], for 33 bits.
    pub fn take_signed_wide(&mut self, bits: u32) -> i64 {
        let high = self.take_signed(bits.saturating_sub(16));
        i64::from(high) << 16 | i64::from(self.take(16.min(bits)))
    }

    /// Number of zero bits before the next one bit, which is read too. Ends at the end of the data.
    pub fn unary(&mut self) -> u32 {
        let mut zeros = 0;
        loop {
            self.refill();
            let run = self.cache.leading_zeros();
            if run < self.count {
                self.consume(run + 1);
                return zeros + run;
            }
            zeros += self.count;
            self.consume(self.count);
            if self.pos > self.data.len() {
                return zeros;
            }
        }
    }

    /// Skips to the next byte boundary.
    pub fn align(&mut self) {
        let odd = self.count % 8;
        self.take(odd);
    }

    /// Decodes one Rice code per sample of `out`: zigzag of `(zeros << parameter) | parameter bits` (RFC 9639, 9.2.7.2).
    pub fn rice(&mut self, parameter: u32, out: &mut [i32]) {
        let mut bits = self.clone();
        let mut pairs = out.chunks_exact_mut(2);
        for pair in &mut pairs {
            bits.refill();
            let zeros = bits.cache.leading_zeros();
            let first = zeros + 1 + parameter;
            let rest = bits.cache << (first & 63);
            let more_zeros = rest.leading_zeros();
            let second = more_zeros + 1 + parameter;
            if first + second <= 56 {
                // Both codes are in the cache. 56 bits at most: no shift by 64.
                pair[0] = unzigzag(zeros << parameter | low(bits.cache << (zeros + 1), parameter));
                pair[1] = unzigzag(more_zeros << parameter | low(rest << (more_zeros + 1), parameter));
                bits.consume(first + second);
            } else {
                pair[0] = bits.rice_one(parameter);
                pair[1] = bits.rice_one(parameter);
            }
        }
        for sample in pairs.into_remainder() {
            *sample = bits.rice_one(parameter);
        }
        *self = bits;
    }

    fn rice_one(&mut self, parameter: u32) -> i32 {
        let zeros = self.unary();
        unzigzag(zeros.wrapping_shl(parameter) | self.take(parameter))
    }
}

/// Top `bits` bits, 0 to 31.
#[inline(always)]
fn low(cache: u64, bits: u32) -> u32 {
    (cache >> 1 >> (63 - bits)) as u32
}

#[inline(always)]
fn unzigzag(code: u32) -> i32 {
    (code >> 1) as i32 ^ -((code & 1) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(bytes: usize) -> Vec<u8> {
        let mut x = 7_u64;
        (0..bytes)
            .map(|_| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (x >> 56) as u8
            })
            .collect()
    }

    /// The plain definition: one bit at a time.
    struct Plain<'a>(&'a [u8], usize);
    impl Plain<'_> {
        fn bit(&mut self) -> u32 {
            let b = self.0.get(self.1 / 8).map_or(0, |b| u32::from(b >> (7 - self.1 % 8) & 1));
            self.1 += 1;
            b
        }
        fn take(&mut self, n: u32) -> u32 {
            (0..n).fold(0, |v, _| v << 1 | self.bit())
        }
    }

    #[test]
    fn fields_of_all_widths_equal_the_plain_reader() {
        let data = random(4000);
        let (mut fast, mut plain) = (Bits::new(&data), Plain(&data, 0));
        for i in 0..1500_u32 {
            let n = i * 7 % 33;
            assert_eq!(fast.take(n), plain.take(n), "{i}");
            assert_eq!(fast.position(), plain.1);
        }
        assert!(!fast.overrun());
    }

    #[test]
    fn rice_codes_equal_the_plain_reader_for_every_parameter() {
        let mut data = random(3000);
        // Long runs of zeros, too.
        data[100..140].fill(0);
        data[400..409].fill(0);
        for parameter in 0..=30 {
            let count = 2000 / (parameter as usize + 3);
            let (mut fast, mut plain) = (Bits::new(&data), Plain(&data, 0));
            let mut out = vec![0; count];
            fast.rice(parameter, &mut out);
            for (i, got) in out.into_iter().enumerate() {
                let mut zeros = 0_u32;
                while plain.bit() == 0 {
                    zeros += 1;
                }
                let code = zeros.wrapping_shl(parameter) | plain.take(parameter);
                assert_eq!(got, unzigzag(code), "parameter {parameter}, sample {i}");
            }
            assert_eq!(fast.position(), plain.1);
        }
    }

    #[test]
    fn the_end_is_noticed_and_never_loops() {
        let mut bits = Bits::new(&[0; 5]);
        bits.unary();
        assert!(bits.overrun());
        let mut bits = Bits::new(&[0xFF]);
        bits.take(8);
        assert!(!bits.overrun());
        bits.take(1);
        assert!(bits.overrun());
        let mut bits = Bits::new(&[0xFF, 0xFE, 0, 0, 1]);
        assert_eq!(bits.take_signed_wide(33), -262_144);
    }
}
