//! No filter that says it is real-time calls the system in `process`.
//!
//! A child process for each filter prepares its chains, enters the kernel's strict secure computing mode, in which
//! anything but read and write kills it, processes, and reports by one write. Without libtest, so that the child has one
//! thread and nothing else happens in it. Linux only; where the kernel refuses the mode (within a container that has a
//! filter of its own) the test says that it is skipped.
#![allow(clippy::unwrap_used)] // a test

#[cfg(target_os = "linux")]
fn main() {
    trapped::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: the trap for system calls is Linux's");
}

#[cfg(target_os = "linux")]
mod trapped {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::process::{Command, Stdio};

    use pure_sound::audio::{Buffer, ChannelLayout, Spec};
    use pure_sound::filters::{Chain, ChainControl, FilterSpec, examples, filters};
    use rustix::thread::{SecureComputingMode, set_secure_computing_mode};

    const CHILD: &str = "PURESOUND_SYSCALL_CHILD";

    pub fn main() {
        if let Ok(name) = std::env::var(CHILD) {
            return child(&name);
        }
        // The trap must catch what it is for.
        match report_of("a system call").as_str() {
            "refused" => return println!("skipped: the kernel refuses the strict mode"),
            report => assert_eq!(report, "", "a system call went through"),
        }
        assert_eq!(report_of("nothing"), "done");
        let mut seen = 0;
        for info in filters().iter().filter(|f| f.realtime) {
            match report_of(info.name).as_str() {
                "done" => seen += 1,
                "no stream" => println!("{}: takes none of the streams", info.name),
                other => panic!("{} calls the system in process ({other:?})", info.name),
            }
        }
        println!("{seen} filters process without a system call");
        assert!(seen > 20, "only {seen}");
    }

    /// What a child says about a filter; nothing when it was killed before.
    fn report_of(name: &str) -> String {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(CHILD, name)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut report = String::new();
        child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
        child.wait().unwrap(); // killed in any case: not even an exit is allowed
        report
    }

    struct Case {
        chain: Chain,
        control: ChainControl,
        block: Buffer,
        input: Buffer,
    }

    /// A chain of the filter alone, with noise for its input.
    fn case(spec: &FilterSpec, rate_hz: u32, channels: usize, frames: usize) -> Option<Case> {
        let stream = Spec::new(rate_hz, ChannelLayout::from_count(channels));
        let mut chain = Chain::new(std::slice::from_ref(spec)).unwrap();
        chain.prepare(stream, frames).ok()?;
        let hash = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
        let plane = |c: usize| (0..frames as u32).map(|n| hash(n + 7 * c as u32)).collect();
        let input = Buffer::from_channels(stream, &(0..channels).map(plane).collect::<Vec<_>>());
        let (control, block) = (chain.control(), chain.new_block().unwrap());
        Some(Case { chain, control, block, input })
    }

    fn child(name: &str) {
        let spec = FilterSpec::parse(examples::example(name)).ok();
        let live: Vec<(usize, f64)> = spec
            .iter()
            .flat_map(|spec| {
                let info = filters().into_iter().find(|f| f.name == spec.name()).unwrap();
                let numbers = info.parameters.into_iter().enumerate().filter(|(_, p)| p.live);
                numbers.map(|(index, p)| (index, p.min.unwrap_or(0.0))).collect::<Vec<_>>()
            })
            .collect();
        let streams = [(8_000, 1, 1), (48_000, 2, 7), (44_100, 2, 64), (48_000, 6, 480), (192_000, 8, 4_096)];
        let mut cases: Vec<Case> =
            spec.iter().flat_map(|spec| streams.iter().filter_map(|(r, c, f)| case(spec, *r, *c, *f))).collect();
        let mut out = File::from(std::io::stdout().as_fd().try_clone_to_owned().unwrap());
        if cases.is_empty() && spec.is_some() {
            out.write_all(b"no stream").unwrap();
            return;
        }
        if set_secure_computing_mode(SecureComputingMode::Strict).is_err() {
            out.write_all(b"refused").unwrap();
            return;
        }
        if name == "a system call" {
            std::hint::black_box(std::fs::metadata("/").is_ok());
        }
        for case in &mut cases {
            for round in 0..(8_192 / case.input.frames()).clamp(3, 600) {
                if round == 1 {
                    for (index, value) in &live {
                        assert!(case.control.set_parameter_at(0, *index, *value));
                    }
                }
                case.block.copy_from(&case.input, 0, case.input.frames());
                case.chain.process(&mut case.block);
            }
            case.chain.reset();
        }
        // On failure nothing is reported, which is noticed.
        let _ = out.write_all(b"done");
    }
}
