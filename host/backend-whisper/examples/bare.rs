#![allow(clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason="scratch")]
use auricle_speech::*;
use std::sync::{Arc, Mutex};
use std::sync::atomic::{AtomicUsize, Ordering};
fn rss() -> u64 { std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmRSS")).unwrap().split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()/1024 }
fn hwm() -> u64 { std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap().split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()/1024 }
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (model, workers, words) = (&a[1], a[2].parse::<usize>().unwrap(), a[3] == "1");
    let lang: Language = std::env::var("L").unwrap_or("en".into()).parse().unwrap();
    let chunk: usize = std::env::var("CHUNK").map(|c| c.parse().unwrap()).unwrap_or(30);
    let out = std::process::Command::new("sha256sum").arg(model).output().unwrap();
    let sha = String::from_utf8_lossy(&out.stdout)[..64].to_string();
    let t = std::time::Instant::now();
    let engine = auricle_backend_whisper::WhisperLoader.load(&ModelFiles{name:"base".into(), path: model.into(), sha256: sha, word_timestamps: words}).unwrap();
    eprintln!("load {:?} rss {} hwm {}", t.elapsed(), rss(), hwm());
    let t = std::time::Instant::now();
    { let _s = engine.open_session().unwrap(); eprintln!("open {:?} rss {}", t.elapsed(), rss()); }
    eprintln!("dropped rss {}", rss());
    let mut jobs: Vec<(usize, String, Vec<f32>)> = vec![];
    for f in &a[4..] {
        let b = std::fs::read(f).unwrap();
        let s: Vec<f32> = b.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
        let s = match std::env::var("MAX") { Ok(m) => s[..(m.parse::<usize>().unwrap()*16000).min(s.len())].to_vec(), _ => s };
        for c in s.chunks(chunk*16000) { jobs.push((jobs.len(), f.clone(), c.to_vec())); }
    }
    if std::env::var("DET").is_ok() { let mut s = engine.open_session().unwrap(); for (_, f, c) in &jobs { let t = std::time::Instant::now(); let r = s.detect_language(c, &CancelFlag::new()).unwrap(); println!("{f} {:.1}s {:?} {} {:.3} {} {:.3} sum {:.3}", c.len() as f64/16000.0, t.elapsed(), r[0].language, r[0].probability, r[1].language, r[1].probability, r.iter().map(|x| x.probability).sum::<f32>()); } return; }
    if let Ok(n) = std::env::var("CANCEL") { let mut s = engine.open_session().unwrap(); for i in 0..n.parse::<u64>().unwrap() { let c = CancelFlag::new(); let c2 = c.clone(); let ms = i*137 % 2500; let h = std::thread::spawn(move || { std::thread::sleep(std::time::Duration::from_millis(ms)); c2.cancel(); std::time::Instant::now() }); let r = s.transcribe(&jobs[0].2, lang, &DecodeOptions{word_timestamps: words, ..Default::default()}, &c); let end = std::time::Instant::now(); let at = h.join().unwrap(); println!("cancel after {ms} ms -> {:?} latency {:?}", r.map(|r| r.len()), end.saturating_duration_since(at)); } let r = s.transcribe(&jobs[0].2, lang, &DecodeOptions{word_timestamps: words, ..Default::default()}, &CancelFlag::new()).unwrap(); println!("{:?}", r.iter().map(|s| s.text.clone()).collect::<Vec<_>>()); return; }
    let secs: f64 = jobs.iter().map(|j| j.2.len() as f64/16000.0).sum();
    let next = AtomicUsize::new(0);
    let res = Mutex::new(vec![]);
    let t = std::time::Instant::now();
    std::thread::scope(|sc| for _ in 0..workers { sc.spawn(|| {
        let mut s = engine.open_session().unwrap();
        loop { let n = next.fetch_add(1, Ordering::SeqCst); if n >= jobs.len() { break }
            let t = std::time::Instant::now();
            let o = DecodeOptions{ word_timestamps: words, beam_size: std::env::var("BEAM").map(|b| b.parse().unwrap()).unwrap_or(1), ..Default::default()};
            let r = s.transcribe(&jobs[n].2, lang, &o, &CancelFlag::new()).unwrap();
            res.lock().unwrap().push((n, t.elapsed(), r));
        }
    }); });
    let wall = t.elapsed().as_secs_f64();
    let mut res = res.into_inner().unwrap(); res.sort_by_key(|r| r.0);
    for (n, d, r) in &res { if std::env::var("V").is_ok() { 
        eprintln!("-- {} {} {:.2}s", n, jobs[*n].1, d.as_secs_f64());
        for s in r { eprintln!("  [{:.2} {:.2}] t={} lp={:.2} cr={:.2} ns={:.3} {}", s.start, s.end, s.temperature, s.avg_logprob, s.compression_ratio, s.no_speech_prob, s.text);
          if std::env::var("V").unwrap()=="2" { for w in &s.words { eprintln!("      {:.2} {:.2} {:.2} {}", w.start, w.end, w.probability, w.word); } } } } }
    let mut last = String::new();
    for (n, _, r) in &res { let txt = r.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ");
        if jobs[*n].1 != last { if !last.is_empty() {println!();} print!("{}\t", jobs[*n].1); last = jobs[*n].1.clone(); } print!("{txt} "); }
    println!();
    eprintln!("audio {secs:.1} wall {wall:.2} rtf {:.4} rss {} hwm {}", wall/secs, rss(), hwm());
    let _ = Arc::clone(&engine);
}
