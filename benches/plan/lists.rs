//! Lists of people: which tags each of them wants, by number.

/// The tags of each person.
pub(crate) type List = Vec<Vec<u32>>;

/// What a list is, and how it is made.
pub(crate) type Named = (&'static str, fn() -> List);

/// The lists.
pub(crate) const LISTS: [Named; 8] = [
    ("one tag for all", || vec![vec![0]; 10_000]),
    ("60 combinations of city, role and tier", || {
        people(10_000, |dice| vec![dice.below(5), 5 + dice.below(4), 9 + dice.below(3)])
    }),
    ("8 of 100 event tags each", || people(10_000, |dice| dice.some(8, 100))),
    ("1 to 8 of 100 power-law tags", || people(10_000, |dice| dice.popular(8, 100))),
    ("300 changed, 1 to 8 power-law tags", || people(300, |dice| dice.popular(8, 100))),
    ("8 of 200 tags each", || people(100_000, |dice| dice.some(8, 200))),
    ("1 to 40 of 200 tags each", || {
        people(100_000, |dice| {
            let n = 1 + dice.below(40);
            dice.some(n, 200)
        })
    }),
    ("1 to 8 of 200 power-law tags", || people(100_000, |dice| dice.popular(8, 200))),
];

fn people(count: usize, mut tags: impl FnMut(&mut Dice) -> Vec<u32>) -> List {
    let mut dice = Dice(fastrand::Rng::with_seed(7));
    (0..count).map(|_| tags(&mut dice)).collect()
}

/// Numbers that look like chance and are the same each time.
struct Dice(fastrand::Rng);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0.u32(..limit)
    }

    /// So many different tags, each as likely as any other.
    fn some(&mut self, count: u32, tags: u32) -> Vec<u32> {
        self.different(count, |dice| dice.below(tags))
    }

    /// One to `most` different tags, of which the n-th is an n-th as likely as the first.
    fn popular(&mut self, most: u32, tags: u32) -> Vec<u32> {
        let count = 1 + self.below(most);
        self.different(count, |dice| {
            loop {
                let tag = dice.below(tags);
                if dice.below(tag + 1) == 0 {
                    return tag;
                }
            }
        })
    }

    fn different(&mut self, count: u32, mut next: impl FnMut(&mut Self) -> u32) -> Vec<u32> {
        let mut tags = Vec::new();
        while tags.len() < count as usize {
            let tag = next(self);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        tags
    }
}
