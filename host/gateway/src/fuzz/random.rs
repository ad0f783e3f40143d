//! A seeded generator of numbers: the same seed makes the same case on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 where that is 0.
    pub(super) fn up_to(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap().max(1);
        usize::try_from(self.next() % limit).unwrap()
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.up_to(n) == 0
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.up_to(of.len())]
    }

    /// Damages some of `bytes`, in one case of four.
    pub(super) fn damage(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() || !self.one_in(4) {
            return;
        }
        for _ in 0..=self.up_to(4) {
            let at = self.up_to(bytes.len());
            match self.up_to(4) {
                0 => bytes[at] = self.byte(),
                1 => bytes.insert(at, self.byte()),
                2 if bytes.len() > 1 => {
                    bytes.remove(at);
                }
                _ => bytes[at] ^= 1 << self.up_to(8),
            }
        }
    }
}
