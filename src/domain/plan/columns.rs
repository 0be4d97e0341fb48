//! Tags divided into columns: a person gets a call for each column of which they want something, together
//! with all who want the same of it.
//!
//! One column for each tag is a pass per tag, a single one is a group for each distinct set; what pays lies
//! between: city and role sent together, the tier apart. Columns are joined two by two as long as that saves.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::demand::{Tag, narrow};
use super::draft::Draft;
use super::effort::Effort;

/// Columns are joined where there are no more than so many; the table of who meets whom is small then.
const MOST_COLUMNS: usize = 1_000;

/// A column, and what is wanted of it.
#[derive(Clone, Debug)]
struct Column {
    /// Who wants something of it, in order of the pieces, and what, by its place in `groups`.
    cells: Vec<(u32, u32)>,
    groups: Vec<Group>,
}

/// People who want the same of a column.
#[derive(Clone, Debug)]
struct Group {
    tags: Vec<Tag>,
    people: u64,
}

/// All tags, in columns.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    max_rows: u64,
    /// The people of each piece.
    weights: Vec<u32>,
    all: Vec<Column>,
}

impl Columns {
    /// A column for each tag that is wanted by those who are in no call of the draft, but one for all tags
    /// that every one of them wants.
    pub(super) fn of(draft: &Draft<'_>) -> Self {
        let weights: Vec<u32> = draft.pieces.iter().map(|piece| piece.len).collect();
        let mut cells: Vec<Vec<(u32, u32)>> = vec![Vec::new(); draft.demand.tags()];
        let mut needy = 0;
        for piece in draft.needy() {
            needy += 1;
            for tag in &draft.cohort(piece).wanted {
                cells[*tag as usize].push((piece, 0));
            }
        }
        let mut columns: Vec<Column> = Vec::new();
        let mut common: Option<usize> = None;
        for (tag, cells) in (0..).zip(cells).filter(|(_, cells)| !cells.is_empty()) {
            let is_common = cells.len() == needy;
            if let Some(common) = common.filter(|_| is_common) {
                columns[common].groups[0].tags.push(tag);
            } else {
                common = common.or(is_common.then_some(columns.len()));
                let people = cells.iter().map(|(piece, _)| u64::from(weights[*piece as usize])).sum();
                columns.push(Column { cells, groups: vec![Group { tags: vec![tag], people }] });
            }
        }
        Self { max_rows: draft.demand.max_rows.into(), weights, all: columns }
    }

    /// Joins columns of which nobody wants two, the most wanted first. That costs nothing, and makes one
    /// column of all cities, another of all tiers. `None` where there are none such.
    pub(super) fn joined_exclusive(&self) -> Option<Self> {
        let mut sorted = self.clone();
        sorted.all.sort_by_key(|column| Reverse(column.cells.len()));
        let met = sorted.met()?;
        let mut joined: Vec<Vec<usize>> = Vec::new();
        for (column, met) in met.iter().enumerate() {
            let is_free = |others: &&mut Vec<usize>| others.iter().all(|other| met[*other] == 0);
            match joined.iter_mut().find(is_free) {
                Some(others) => others.push(column),
                None => joined.push(vec![column]),
            }
        }
        if joined.len() == sorted.all.len() {
            return None;
        }
        sorted.all = joined.iter().map(|places| sorted.join(places)).collect();
        Some(sorted)
    }

    /// Joins the two columns that save most by it, again and again, as long as some do.
    pub(super) fn join_saving(&mut self, effort: &mut Effort) {
        let Some(met) = self.met() else { return };
        let mut savings: Vec<Vec<i64>> = Vec::new();
        for (column, met) in met.iter().enumerate() {
            savings.push((0..column).map(|other| self.saving(other, column, met[other], effort)).collect());
        }
        while let Some((earlier, later)) = best_pair(&savings) {
            self.all[earlier] = self.join(&[earlier, later]);
            self.all.remove(later);
            savings.remove(later);
            for row in savings.iter_mut().skip(later) {
                row.remove(later);
            }
            for other in (0..self.all.len()).filter(|other| *other != earlier) {
                let saving = self.saving_of_walk(earlier, other, effort);
                savings[earlier.max(other)][earlier.min(other)] = saving;
            }
        }
    }

    /// Lays the calls.
    pub(super) fn send(&self, draft: &mut Draft<'_>) {
        for column in &self.all {
            let mut members: Vec<Vec<u32>> = vec![Vec::new(); column.groups.len()];
            for (piece, group) in &column.cells {
                // A piece that was cut for an earlier column is several by now.
                members[*group as usize].extend(draft.whole(*piece));
            }
            for (group, members) in column.groups.iter().zip(members) {
                draft.send(&group.tags, members);
            }
        }
    }

    /// How many people want something both of a column and of an earlier one; `None` where that is too much
    /// to find out.
    fn met(&self) -> Option<Vec<Vec<u64>>> {
        if self.all.len() > MOST_COLUMNS {
            return None;
        }
        let mut by_piece: Vec<Vec<usize>> = vec![Vec::new(); self.weights.len()];
        let mut met: Vec<Vec<u64>> = (0..self.all.len()).map(|column| vec![0; column]).collect();
        for (place, column) in self.all.iter().enumerate() {
            for (piece, _) in &column.cells {
                let earlier = &mut by_piece[*piece as usize];
                for other in &*earlier {
                    met[place][*other] += u64::from(self.weights[*piece as usize]);
                }
                earlier.push(place);
            }
        }
        Some(met)
    }

    /// What it saves to join two columns that `met` people want something of both.
    fn saving(&self, one: usize, other: usize, met: u64, effort: &mut Effort) -> i64 {
        match (self.all[one].groups.as_slice(), self.all[other].groups.as_slice()) {
            _ if met == 0 => 0,
            ([first], [second]) => {
                let before = self.requests([first.people, second.people]);
                before - self.requests([first.people - met, second.people - met, met])
            }
            _ => self.saving_of_walk(one, other, effort),
        }
    }

    /// The same, found by a look at everybody; nothing where there is no effort left for that.
    fn saving_of_walk(&self, one: usize, other: usize, effort: &mut Effort) -> i64 {
        let (one, other) = (&self.all[one], &self.all[other]);
        if !effort.spend(one.cells.len() + other.cells.len()) {
            return 0;
        }
        let mut both: HashMap<(u32, u32), u64> = HashMap::new();
        let mut others = other.cells.iter().peekable();
        for (piece, group) in &one.cells {
            while others.next_if(|(other, _)| other < piece).is_some() {}
            if let Some((_, second)) = others.next_if(|(other, _)| other == piece) {
                *both.entry((*group, *second)).or_default() += u64::from(self.weights[*piece as usize]);
            }
        }
        let people = |column: &Column| column.groups.iter().map(|group| group.people).collect::<Vec<_>>();
        let (mut first, mut second) = (people(one), people(other));
        let before = self.requests(first.iter().chain(&second).copied());
        for ((group, other), people) in &both {
            first[*group as usize] -= people;
            second[*other as usize] -= people;
        }
        before - self.requests(first.into_iter().chain(second).chain(both.into_values()))
    }

    fn requests(&self, groups: impl IntoIterator<Item = u64>) -> i64 {
        groups.into_iter().map(|people| people.div_ceil(self.max_rows).cast_signed()).sum()
    }

    /// One column of several.
    fn join(&self, places: &[usize]) -> Column {
        let cells_of = |place: &usize| {
            let Column { cells, groups } = &self.all[*place];
            cells.iter().map(|(piece, group)| (*piece, groups[*group as usize].tags.as_slice()))
        };
        let mut cells: Vec<(u32, &[Tag])> = places.iter().flat_map(cells_of).collect();
        cells.sort_by_key(|(piece, _)| *piece);
        let mut joined = Column { cells: Vec::new(), groups: Vec::new() };
        let mut known: HashMap<Vec<Tag>, usize> = HashMap::new();
        let mut tags: Vec<Tag> = Vec::new();
        for same in cells.chunk_by(|a, b| a.0 == b.0) {
            let piece = same[0].0;
            tags.clear();
            tags.extend(same.iter().flat_map(|(_, tags)| *tags));
            tags.sort_unstable();
            let place = known.get(&tags).copied().unwrap_or_else(|| {
                joined.groups.push(Group { tags: tags.clone(), people: 0 });
                known.insert(tags.clone(), joined.groups.len() - 1);
                joined.groups.len() - 1
            });
            joined.groups[place].people += u64::from(self.weights[piece as usize]);
            joined.cells.push((piece, narrow(place)));
        }
        joined
    }
}

/// The pair that saves most, the first of several.
fn best_pair(savings: &[Vec<i64>]) -> Option<(usize, usize)> {
    let mut best = (0, None);
    for (later, row) in savings.iter().enumerate() {
        for (earlier, saving) in row.iter().enumerate() {
            if *saving > best.0 {
                best = (*saving, Some((earlier, later)));
            }
        }
    }
    best.1
}
