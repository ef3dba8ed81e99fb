fn main(){ for f in std::env::args().skip(1){ 
 let d = std::fs::read(&f).unwrap();
 match syom::decode_with(&d, &syom::DecodeOptions::unbounded()) { Ok(x)=>println!("{f}: ok {} ch {} Hz {} frames", x.channels.len(), x.sample_rate, x.channels[0].len()), Err(e)=>println!("{f}: {e} {e:?}") }
 }}
