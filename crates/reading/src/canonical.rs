//! Bytes that are signed: a mark of what they are, a version, then fields of fixed or stated
//! length, numbers big-endian. Two different things never have the same bytes.

/// What is being written.
pub(crate) struct Canonical(Vec<u8>);

impl Canonical {
    /// Begins with four letters that say what it is, and its version.
    pub(crate) fn of(mark: [u8; 4], version: u8) -> Self {
        let mut bytes = mark.to_vec();
        bytes.push(version);
        Self(bytes)
    }

    pub(crate) fn u64(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(crate) fn u32(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Bytes whose number is always the same.
    pub(crate) fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes of any number, which stands before them.
    pub(crate) fn counted(self, bytes: &[u8]) -> Self {
        let length = u64::try_from(bytes.len()).expect("a length fits in 64 bits");
        self.u64(length).fixed(bytes)
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}
