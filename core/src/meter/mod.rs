//! Measuring: loudness (ITU-R BS.1770-5, EBU R 128), true peak, level.
