//! The checksums of FLAC (RFC 9639, 9.1.8 and 9.3), sixteen bytes at a time for the long one.

const fn crc8_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut c = i as u8;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 0x80 != 0 { c << 1 ^ 0x07 } else { c << 1 };
            bit += 1;
        }
        table[i] = c;
        i += 1;
    }
    table
}

/// `table[n][b]`: checksum of byte `b` followed by `n` zero bytes.
const fn crc16_tables() -> [[u16; 256]; 16] {
    let mut tables = [[0; 256]; 16];
    let mut i = 0;
    while i < 256 {
        let mut c = (i as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 0x8000 != 0 { c << 1 ^ 0x8005 } else { c << 1 };
            bit += 1;
        }
        tables[0][i] = c;
        i += 1;
    }
    let mut n = 1;
    while n < 16 {
        let mut i = 0;
        while i < 256 {
            let c = tables[n - 1][i];
            tables[n][i] = c << 8 ^ tables[0][(c >> 8) as usize];
            i += 1;
        }
        n += 1;
    }
    tables
}

static CRC8: [u8; 256] = crc8_table();
static CRC16: [[u16; 256]; 16] = crc16_tables();

/// CRC-8, polynomial x^8 + x^2 + x + 1, start 0.
pub(crate) fn crc8(data: &[u8]) -> u8 {
    data.iter().fold(0, |c, b| CRC8[usize::from(c ^ b)])
}

/// CRC-16, polynomial x^16 + x^15 + x^2 + 1, start 0.
pub(crate) fn crc16(data: &[u8]) -> u16 {
    let (words, rest) = data.as_chunks::<16>();
    let c = words.iter().fold(0_u16, |c, w| {
        let [high, low] = c.to_be_bytes();
        let first = CRC16[15][usize::from(w[0] ^ high)] ^ CRC16[14][usize::from(w[1] ^ low)];
        // Independent look-ups: the processor does them side by side.
        (2..16).fold(first, |sum, i| sum ^ CRC16[15 - i][usize::from(w[i])])
    });
    rest.iter().fold(c, |c, b| c << 8 ^ CRC16[0][usize::from((c >> 8) as u8 ^ b)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values() {
        // Catalogue of parametrised CRC algorithms: CRC-8/SMBUS and CRC-16/UMTS of "123456789".
        assert_eq!(crc8(b"123456789"), 0xF4);
        assert_eq!(crc16(b"123456789"), 0xFEE8);
        // Independent of how the data is cut into words.
        let data: Vec<u8> = (0..50).collect();
        for n in 0..50 {
            let plain = data[..n].iter().fold(0_u16, |mut c, b| {
                c ^= u16::from(*b) << 8;
                (0..8).for_each(|_| c = if c & 0x8000 != 0 { c << 1 ^ 0x8005 } else { c << 1 });
                c
            });
            assert_eq!(crc16(&data[..n]), plain);
        }
    }
}
