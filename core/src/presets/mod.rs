//! Named recipes without input and output.
