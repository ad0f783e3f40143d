use auricle_audio::DecodeLimits;
fn main() {
    for path in std::env::args().skip(1) {
        match auricle_decoder::native::decode_path(path.as_ref(), &DecodeLimits::default()) {
            Ok(clip) => {
                let s = clip.samples();
                // spans of sound at 50 ms
                let mut spans: Vec<(f64, f64)> = Vec::new();
                for (i, f) in s.chunks(800).enumerate() {
                    let e = (f.iter().map(|x| x * x).sum::<f32>() / f.len() as f32).sqrt();
                    if e > 0.005 {
                        let t = i as f64 * 0.05;
                        match spans.last_mut() {
                            Some(l) if t - l.1 < 0.3 => l.1 = t + 0.05,
                            _ => spans.push((t, t + 0.05)),
                        }
                    }
                }
                let spans: Vec<String> = spans
                    .iter()
                    .map(|(a, b)| format!("{a:.2}-{b:.2}"))
                    .collect();
                println!(
                    "{path}: {:.3} s  {}",
                    clip.duration().as_secs_f64(),
                    spans.join(" ")
                );
            }
            Err(e) => println!("{path}: ERROR {e}"),
        }
    }
}
