//! MD5 (RFC 1321), which FLAC stores of its samples. Not for security.

/// A running digest.
#[derive(Debug, Clone)]
pub(crate) struct Md5 {
    state: [u32; 4],
    /// What does not fill a block yet.
    rest: Vec<u8>,
    length: u64,
}

/// `floor(2^32 * |sin(i + 1)|)`, RFC 1321 section 3.4.
const K: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

impl Default for Md5 {
    fn default() -> Self {
        Self { state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476], rest: Vec::with_capacity(64), length: 0 }
    }
}

impl Md5 {
    /// Adds `bytes`.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if !self.rest.is_empty() {
            let take = bytes.len().min(64 - self.rest.len());
            self.rest.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.rest.len() < 64 {
                return;
            }
            let block = std::mem::take(&mut self.rest);
            self.blocks(&block);
            self.rest = block;
            self.rest.clear();
        }
        let whole = bytes.len() / 64 * 64;
        self.blocks(&bytes[..whole]);
        self.rest.extend_from_slice(&bytes[whole..]);
    }

    /// The digest of all that was added.
    pub fn finish(mut self) -> [u8; 16] {
        let bits = self.length.wrapping_mul(8);
        let pad = 64 - (self.rest.len() + 8) % 64;
        let mut tail = vec![0; pad + 8];
        tail[0] = 0x80;
        tail[pad..].copy_from_slice(&bits.to_le_bytes());
        self.update(&tail);
        let mut digest = [0; 16];
        for (to, word) in digest.chunks_exact_mut(4).zip(self.state) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        digest
    }

    fn blocks(&mut self, bytes: &[u8]) {
        let [mut a, mut b, mut c, mut d] = self.state;
        for block in bytes.chunks_exact(64) {
            let mut m = [0_u32; 16];
            for (word, four) in m.iter_mut().zip(block.chunks_exact(4)) {
                *word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            }
            let old = [a, b, c, d];
            // One step: a, b, c, d change places by renaming, so that nothing is moved.
            macro_rules! step {
                ($f:expr, $a:ident, $b:ident, $i:expr, $g:expr) => {
                    $a = $a
                        .wrapping_add($f)
                        .wrapping_add(K[$i])
                        .wrapping_add(m[$g % 16])
                        .rotate_left(SHIFTS[$i / 16][$i % 4])
                        .wrapping_add($b);
                };
            }
            macro_rules! four {
                ($f:ident, $i:expr, $mul:expr, $add:expr) => {
                    step!($f(b, c, d), a, b, $i, $mul * $i + $add);
                    step!($f(a, b, c), d, a, $i + 1, $mul * ($i + 1) + $add);
                    step!($f(d, a, b), c, d, $i + 2, $mul * ($i + 2) + $add);
                    step!($f(c, d, a), b, c, $i + 3, $mul * ($i + 3) + $add);
                };
            }
            macro_rules! sixteen {
                ($f:ident, $i:expr, $mul:expr, $add:expr) => {
                    four!($f, $i, $mul, $add);
                    four!($f, $i + 4, $mul, $add);
                    four!($f, $i + 8, $mul, $add);
                    four!($f, $i + 12, $mul, $add);
                };
            }
            sixteen!(f1, 0, 1, 0);
            sixteen!(f2, 16, 5, 1);
            sixteen!(f3, 32, 3, 5);
            sixteen!(f4, 48, 7, 0);
            a = a.wrapping_add(old[0]);
            b = b.wrapping_add(old[1]);
            c = c.wrapping_add(old[2]);
            d = d.wrapping_add(old[3]);
        }
        self.state = [a, b, c, d];
    }
}

#[inline(always)]
fn f1(x: u32, y: u32, z: u32) -> u32 {
    z ^ (x & (y ^ z))
}
#[inline(always)]
fn f2(x: u32, y: u32, z: u32) -> u32 {
    // The two halves exclude each other, so `+` equals `|` and shortens the chain of dependencies.
    (x & z).wrapping_add(y & !z)
}
#[inline(always)]
fn f3(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}
#[inline(always)]
fn f4(x: u32, y: u32, z: u32) -> u32 {
    y ^ (x | !z)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8], step: usize) -> String {
        let mut md5 = Md5::default();
        bytes.chunks(step).for_each(|c| md5.update(c));
        md5.finish().iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn rfc_1321_vectors_in_any_step() {
        let long = b"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        for step in [1, 3, 64, 1000] {
            assert_eq!(hex(b"", step), "d41d8cd98f00b204e9800998ecf8427e");
            assert_eq!(hex(b"abc", step), "900150983cd24fb0d6963f7d28e17f72");
            assert_eq!(hex(long, step), "57edf4a22be3c955ac49da2e2107b67a");
        }
    }
}
