//! Example of a speaker-assigner: a graph of the operator's own chooses each segment's label.
//!
//! The graph is one of `[models.graphs]` that the deployment is granted. It reads `x`, f32 of
//! [segments, 2]: where each segment starts and how long it is, in seconds. Its first output, f32 of
//! [segments, labels], has a score for each label; the highest wins.
//!
//! # Configuration
//! - `graph`: name of the graph.
//! - `labels`: the labels, separated by commas.

use auricle_guest::config;
use auricle_guest::nn::{Graph, NnError, f32s};
use auricle_guest::speaker_assigner::{AssignError, Segment, SpeakerAssigner, Turn};

struct LabelAssigner;

impl SpeakerAssigner for LabelAssigner {
    fn assign(mut segments: Vec<Segment>, _: Vec<Turn>) -> Result<Vec<Segment>, AssignError> {
        if segments.is_empty() {
            return Ok(segments);
        }
        let name: String = config::parse_or("graph", String::new())?;
        let labels: String = config::parse_or("labels", String::new())?;
        let labels: Vec<&str> = labels.split(',').collect();
        let scores = scores(&name, &segments).map_err(failed)?;
        if scores.len() != segments.len() * labels.len() {
            let text = format!("{} scores for {} labels", scores.len(), labels.len());
            return Err(AssignError::Other(Some(text)));
        }
        for (segment, row) in segments.iter_mut().zip(scores.chunks(labels.len())) {
            segment.speaker = best(row)
                .and_then(|index| labels.get(index))
                .map(|label| (*label).to_owned());
        }
        Ok(segments)
    }
}

auricle_guest::speaker_assigner::export!(LabelAssigner);

fn scores(graph: &str, segments: &[Segment]) -> Result<Vec<f32>, NnError> {
    let rows: Vec<f32> = segments
        .iter()
        .flat_map(|s| [s.start as f32, (s.end - s.start) as f32])
        .collect();
    let x = f32s(&[segments.len() as u32, 2], &rows);
    Graph::load(graph)?.compute(vec![("x", x)])?.f32s_at(0)
}

/// Where the highest score is.
fn best(row: &[f32]) -> Option<usize> {
    let highest = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    highest.map(|(index, _)| index)
}

fn failed(error: NnError) -> AssignError {
    AssignError::Other(Some(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_score_wins() {
        assert_eq!(best(&[0.0, 2.0, 1.0]), Some(1));
        assert_eq!(best(&[]), None);
    }
}
