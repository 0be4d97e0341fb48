//! Charts as SVG, drawn here: no script, no style in them, and the same in words beside each.

use maud::{Markup, html};

const WIDTH: u32 = 380;
const HEIGHT: u32 = 150;
/// Room for words on the left and below.
const LEFT: u32 = 44;
const BELOW: u32 = 26;
const ABOVE: u32 = 18;

/// Bars of one row of numbers.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    /// What is shown, for the page and for whoever cannot see it.
    pub(super) title: &'a str,
    /// The same in a sentence, with the numbers that matter.
    pub(super) words: String,
    pub(super) values: &'a [u64],
    /// What each could be at most, where there is such a thing.
    pub(super) most: Option<u64>,
    /// What stands below the first and the last bar.
    pub(super) ends: [String; 2],
}

impl Chart<'_> {
    pub(super) fn draw(&self) -> Markup {
        let highest = self.values.iter().copied().chain(self.most).max().unwrap_or(0).max(1);
        let (plot, bars) = (WIDTH - LEFT, u32::try_from(self.values.len()).unwrap_or(1).max(1));
        let base = HEIGHT - BELOW;
        let tall = |value: u64| scaled(value, highest, base - ABOVE);
        let left = |number: u32| LEFT + plot * number / bars;
        let wide =
            |number: u32| (left(number + 1) - left(number)).saturating_sub(u32::from(bars < 200)).max(1);
        html! {
            figure.chart {
                figcaption { strong { (self.title) } br; span.soft { (self.words) } }
                svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(format!("{}: {}", self.title, self.words)) {
                    @if let Some(most) = self.most {
                        line.axis x1=(LEFT) x2=(WIDTH) y1=(base - tall(most)) y2=(base - tall(most)) stroke-dasharray="4 4" {}
                    }
                    @for (number, value) in (0_u32..).zip(self.values) {
                        rect.bar x=(left(number)) width=(wide(number)) y=(base - tall(*value)) height=(tall(*value)) {}
                    }
                    line.axis x1=(LEFT) x2=(WIDTH) y1=(base) y2=(base) {}
                    text x=(LEFT - 6) y=(ABOVE + 4) text-anchor="end" { (short(highest)) }
                    text x=(LEFT - 6) y=(base) text-anchor="end" { "0" }
                    text x=(LEFT) y=(HEIGHT - 4) { (self.ends[0]) }
                    text x=(WIDTH) y=(HEIGHT - 4) text-anchor="end" { (self.ends[1]) }
                }
            }
        }
    }
}

/// How tall a value is; what is not nothing can be seen.
fn scaled(value: u64, highest: u64, tall: u32) -> u32 {
    let scaled = u128::from(value) * u128::from(tall) / u128::from(highest.max(1));
    u32::try_from(scaled).unwrap_or(tall).min(tall).max(u32::from(value > 0))
}

/// A number in the space beside a chart.
pub(super) fn short(number: u64) -> String {
    match number {
        0..=9_999 => number.to_string(),
        10_000..=9_999_999 => format!("{}k", number / 1_000),
        _ => format!("{}M", number / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_within_the_chart_and_show_whatever_is_there() {
        assert_eq!([0, 1, 500, 1_000].map(|value| scaled(value, 1_000, 100)), [0, 1, 50, 100]);
        assert_eq!(scaled(u64::MAX, u64::MAX, 100), 100);
        let chart = Chart {
            title: "rows",
            words: "nothing <yet>".to_owned(),
            values: &[],
            most: None,
            ends: [String::new(), String::new()],
        };
        let drawn = chart.draw().0;
        assert!(!drawn.contains("style=") && drawn.contains("nothing &lt;yet&gt;"), "{drawn}");
        assert_eq!([9_999, 10_000, 12_345_678].map(short), ["9999", "10k", "12M"]);
    }
}
