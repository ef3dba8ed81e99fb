//! Throw-away: seeks and fuzz.
use pure_sound::audio::*;
use pure_sound::formats::*;
fn rng(s: &mut u64) -> u64 {
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    *s
}
fn all(d: &mut dyn Decoder) -> Vec<Vec<f32>> {
    let spec = d.info().spec;
    let mut b = Buffer::new(spec, 4096);
    let mut out = vec![vec![]; spec.channels()];
    while d.read(&mut b, 4096).unwrap() > 0 {
        for (c, o) in b.channels().zip(&mut out) {
            o.extend_from_slice(c)
        }
    }
    out
}
fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    if a[0] == "seek" {
        for f in &a[1..] {
            let Ok(mut d) = open(f.as_str().into(), &ReadOptions::default()) else {
                println!("{f}: no open");
                continue;
            };
            let lin = all(&mut *d);
            let n = lin[0].len();
            if n < 3000 {
                println!("{f}: short");
                continue;
            }
            let dur = d.info().duration;
            let info = d.info().clone();
            let mut s = 0x1234567u64;
            let mut worst = 0f32;
            let mut bad = 0;
            let mut lenbad = 0;
            let trials = 40;
            for fresh in 0..2 {
                for _ in 0..trials / 2 {
                    let p = (rng(&mut s) % (n as u64)) as usize;
                    if fresh == 1 {
                        d = open(f.as_str().into(), &ReadOptions::default()).unwrap();
                    }
                    d.seek(p as u64).unwrap();
                    let mut b = Buffer::new(d.info().spec, 3000);
                    let got = d.read(&mut b, 3000).unwrap();
                    let want = 3000.min(n - p);
                    if got != want {
                        lenbad += 1;
                    }
                    let mut e = 0f32;
                    for (c, l) in b.channels().zip(&lin) {
                        for (x, y) in c.iter().zip(&l[p..]) {
                            e = e.max((x - y).abs())
                        }
                    }
                    if e > 1e-4 {
                        bad += 1
                    }
                    worst = worst.max(e);
                }
            }
            println!(
                "{} n={n} dur={:?} worst={worst:.1e} bad={bad}/{trials} lenbad={lenbad} {:?} {:?} delay {} pad {} kbps {:?} dmg {}",
                f.rsplit('/').next().unwrap(),
                dur.map(|d| (d.frames as i64 - n as i64, d.exact)),
                info.container,
                info.codec,
                info.delay_frames,
                info.padding_frames,
                info.bit_rate_kbps.map(|k| k.round()),
                d.damage().event_count
            );
        }
    } else {
        let iters: u64 = a[1].parse().unwrap();
        let mut s = a[2].parse::<u64>().unwrap() | 1;
        let mut stat = [0u64; 3];
        let mut slow = (0f64, String::new());
        for i in 0..iters {
            let f = &a[3 + (rng(&mut s) % ((a.len() - 3) as u64)) as usize];
            let mut data = std::fs::read(f).unwrap();
            data.truncate(150_000);
            if data.is_empty() {
                continue;
            }
            let seed = s;
            let kind = rng(&mut s) % 4;
            let n = data.len() as u64;
            if kind == 0 {
                let t = rng(&mut s) % n;
                data.truncate(t as usize);
            } else {
                let k = 1 + rng(&mut s) % (if kind == 1 { 3 } else { 60 });
                let span = if kind == 3 { n.min(4000) } else { n };
                for _ in 0..k {
                    let p = (rng(&mut s) % span) as usize;
                    data[p] ^= 1 << (rng(&mut s) % 8);
                }
            }
            let _ = i;
            let t = std::time::Instant::now();
            let r = std::panic::catch_unwind(move || {
                let mut o = ReadOptions::default();
                o.limits.max_seconds = 600.0;
                match open(data.into(), &o) {
                    Err(_) => 0,
                    Ok(mut d) => {
                        let mut b = Buffer::new(d.info().spec, 4096);
                        let mut total = 0usize;
                        loop {
                            match d.read(&mut b, 4096) {
                                Ok(0) => break,
                                Ok(n) => total += n,
                                Err(_) => break,
                            }
                        }
                        let _ = d.seek((total / 2) as u64);
                        let _ = d.read(&mut b, 4096);
                        1
                    }
                }
            });
            let el = t.elapsed().as_secs_f64();
            if el > slow.0 {
                slow = (el, format!("{f} seed {seed}"));
            }
            match r {
                Ok(k) => stat[k] += 1,
                Err(_) => {
                    stat[2] += 1;
                    println!("PANIC {f} seed {seed}")
                }
            }
        }
        println!("refused {} decoded {} panicked {} slowest {:.2} {}", stat[0], stat[1], stat[2], slow.0, slow.1);
    }
}
