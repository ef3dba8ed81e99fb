//! Bits to bytes, most significant first, as FLAC and ALAC have them, and FLAC's two checksums.

/// Appends bits to a vector of bytes.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not in `bytes` yet, right-justified; fewer than 32 between calls.
    held: u64,
    count: u32,
}

impl BitWriter {
    /// Continues behind `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, held: 0, count: 0 }
    }

    /// Appends the lowest `bits` (0 to 32) bits of `value`, whose other bits must be 0.
    #[inline(always)]
    pub fn put(&mut self, value: u32, bits: u32) {
        debug_assert!(bits <= 32 && u64::from(value) >> bits == 0);
        self.held = (self.held << bits) | u64::from(value);
        self.count += bits;
        if self.count >= 32 {
            self.count -= 32;
            let word = (self.held >> self.count) as u32;
            self.bytes.extend_from_slice(&word.to_be_bytes());
        }
    }

    /// Appends a signed number of `bits` (1 to 33) bits.
    pub fn put_signed(&mut self, value: i64, bits: u32) {
        if bits > 32 {
            self.put((value >> 32) as u32 & 1, 1);
            self.put(value as u32, 32);
        } else {
            self.put(value as u32 & (u32::MAX >> (32 - bits)), bits);
        }
    }

    /// Appends `zeros` zero bits and a one.
    #[inline]
    pub fn put_unary(&mut self, mut zeros: u32) {
        while zeros >= 32 {
            self.put(0, 32);
            zeros -= 32;
        }
        self.put(1, zeros + 1);
    }

    /// Appends residuals in Rice code with parameter `k` (0 to 30).
    #[inline(always)]
    pub fn put_rice(&mut self, residual: &[i32], k: u32) {
        let low = (1_u32 << k) - 1;
        for &r in residual {
            let folded = ((r << 1) ^ (r >> 31)) as u32;
            let zeros = folded >> k;
            if zeros + k < 32 {
                // Quotient, stop bit and remainder in one go.
                self.put((1 << k) | (folded & low), zeros + 1 + k);
            } else {
                self.put_unary(zeros);
                self.put(folded & low, k);
            }
        }
    }

    /// Bits so far.
    pub fn bits(&self) -> u64 {
        self.bytes.len() as u64 * 8 + u64::from(self.count)
    }

    /// Appends all bits of `other`.
    pub fn append(&mut self, other: Self) {
        let (words, rest) = other.bytes.as_chunks::<4>();
        for word in words {
            self.put(u32::from_be_bytes(*word), 32);
        }
        for byte in rest {
            self.put(u32::from(*byte), 8);
        }
        self.put((other.held & ((1 << other.count) - 1)) as u32, other.count);
    }

    /// Fills the last byte with zeros and gives all bytes.
    pub fn finish(mut self) -> Vec<u8> {
        while self.count > 0 {
            let take = self.count.min(8);
            let byte = ((self.held >> (self.count - take)) << (8 - take)) as u8;
            self.bytes.push(byte);
            self.count -= take;
        }
        self.bytes
    }
}

/// CRC-8, polynomial x^8 + x^2 + x + 1, of a frame header.
pub(crate) fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, b| (0..8).fold(crc ^ b, |c, _| if c & 0x80 != 0 { (c << 1) ^ 0x07 } else { c << 1 }))
}

/// Tables for eight bytes at once: `CRC16[n][b]` is the checksum of byte `b` followed by `n` zero bytes.
static CRC16: [[u16; 256]; 8] = crc16_tables();

const fn crc16_tables() -> [[u16; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut crc = (i as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x8005 } else { crc << 1 };
            bit += 1;
        }
        tables[0][i] = crc;
        i += 1;
    }
    let mut n = 1;
    while n < 8 {
        let mut i = 0;
        while i < 256 {
            let before = tables[n - 1][i];
            tables[n][i] = (before << 8) ^ tables[0][(before >> 8) as usize];
            i += 1;
        }
        n += 1;
    }
    tables
}

/// CRC-16, polynomial x^16 + x^15 + x^2 + 1, of a frame.
pub(crate) fn crc16(bytes: &[u8]) -> u16 {
    let t = &CRC16;
    let (eights, rest) = bytes.as_chunks::<8>();
    let crc = eights.iter().fold(0_u16, |crc, b| {
        let [hi, lo] = crc.to_be_bytes();
        t[7][usize::from(b[0] ^ hi)]
            ^ t[6][usize::from(b[1] ^ lo)]
            ^ t[5][usize::from(b[2])]
            ^ t[4][usize::from(b[3])]
            ^ t[3][usize::from(b[4])]
            ^ t[2][usize::from(b[5])]
            ^ t[1][usize::from(b[6])]
            ^ t[0][usize::from(b[7])]
    });
    rest.iter().fold(crc, |crc, b| (crc << 8) ^ t[0][usize::from((crc >> 8) as u8 ^ b)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_the_usual_test_string() {
        // Catalogue of parametrised CRC algorithms (reveng): CRC-8/SMBUS and CRC-16/UMTS check values.
        assert_eq!(crc8(b"123456789"), 0xF4);
        assert_eq!(crc16(b"123456789"), 0xFEE8);
    }

    #[test]
    fn crc16_by_eights_equals_bit_by_bit() {
        let bytes: Vec<u8> = (0..100_u32).map(|i| (i * i * 7 + 3) as u8).collect();
        for n in 0..100 {
            let slow = bytes[..n].iter().fold(0_u16, |crc, b| {
                (0..8).fold(crc ^ (u16::from(*b) << 8), |c, _| if c & 0x8000 != 0 { (c << 1) ^ 0x8005 } else { c << 1 })
            });
            assert_eq!(crc16(&bytes[..n]), slow, "{n} bytes");
        }
    }

    #[test]
    fn bits_come_out_in_order() {
        let mut w = BitWriter::new(vec![0xAA]);
        w.put(0b101, 3);
        w.put_signed(-1, 5);
        w.put_unary(40);
        w.put(0xDEAD_BEEF, 32);
        let bytes = w.finish();
        assert_eq!(bytes, [0xAA, 0b1011_1111, 0, 0, 0, 0, 0, 0xEF, 0x56, 0xDF, 0x77, 0x80]);
    }

    #[test]
    fn appending_keeps_every_bit() {
        let mut a = BitWriter::default();
        let mut b = BitWriter::default();
        let mut whole = BitWriter::default();
        for i in 0..100_u32 {
            let bits = i % 17 + 1;
            let value = i.wrapping_mul(2_654_435_761) >> (32 - bits);
            if i < 33 {
                a.put(value, bits)
            } else {
                b.put(value, bits)
            }
            whole.put(value, bits);
        }
        assert_eq!(a.bits() + b.bits(), whole.bits());
        a.append(b);
        assert_eq!(a.finish(), whole.finish());
    }

    #[test]
    fn rice_codes_by_definition() {
        // k = 2: 5 folds to 10 = 0b10_10: quotient 2, remainder 2: 001 10. -1 folds to 1: quotient 0, remainder 1: 1 01.
        let mut w = BitWriter::default();
        w.put_rice(&[5, -1], 2);
        assert_eq!(w.finish(), [0b0011_0101]);
        // A quotient beyond the fast path: 100 zeros.
        let mut w = BitWriter::default();
        w.put_rice(&[50], 0);
        let bytes = w.finish();
        assert_eq!(bytes.len(), 13);
        assert!(bytes[..12].iter().all(|b| *b == 0));
        assert_eq!(bytes[12], 0b0000_1000);
    }
}
