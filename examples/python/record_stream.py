"""Blocks from anywhere through a live chain and a meter into a file that is encoded meanwhile.

    python record_stream.py recording.mp3 out.opus

Here the blocks come from a decoder; a sound card's callback would hand them over the same way.
"""

from __future__ import annotations

import sys

import pure_sound

BLOCK_FRAMES = 480


def main(source: str, target: str) -> None:
    with pure_sound.Decoder(source) as decoder:
        rate_hz, channels = decoder.rate_hz, decoder.channels
        chain = pure_sound.Chain(["highpass:cutoff_hz=80", "gain:gain_db=0"], rate_hz, channels)
        meter = pure_sound.Meter(rate_hz, channels)
        with pure_sound.Encoder(target, rate_hz, channels) as encoder:
            for block in decoder.blocks(BLOCK_FRAMES):
                # Too loud: the gain glides down while it runs.
                if meter.momentary_lufs > -14:
                    chain.set_parameter(1, "gain_db", -6)
                chain.process(block)
                meter.push(block)
                encoder.write(block)
    assert encoder.encoded is not None
    print(f"{encoder.encoded['frames']} frames at {meter.integrated_lufs:.1f} LUFS")


if __name__ == "__main__":
    main(*sys.argv[1:3])
