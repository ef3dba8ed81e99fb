/* Reads recordings, makes them quieter or louder by a live chain, and writes them again, all at one loudness.
 *
 *     loudness -16 out-folder a.mp3 b.flac
 *
 * (An engine does this better in one call, with true peaks and checks: see convert.c. This shows the parts.)
 */
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <puresound.hpp>

namespace {

constexpr std::size_t block_frames = 4096;

/* Where each channel is, from a frame on. */
template <class Sample>
std::vector<Sample *> at(const std::vector<Sample *> &channels, std::size_t frame) {
    std::vector<Sample *> pointers;
    for (Sample *channel : channels) {
        pointers.push_back(channel + frame);
    }
    return pointers;
}

void level(const puresound::Engine &engine, const std::string &from, const std::string &to, double target_lufs) {
    const puresound::Audio audio = engine.decode(puresound::Input::path(from));
    std::vector<const float *> channels; // the samples of the library: nothing is copied
    for (std::size_t channel = 0; channel < audio.channels(); channel++) {
        channels.push_back(audio.channel(channel));
    }
    const std::size_t count = channels.size();

    puresound::Meter meter(audio.rate_hz(), audio.layout());
    meter.push(channels.data(), count, audio.frames());
    const double lufs = meter.integrated_lufs();
    const double gain_db = std::isfinite(lufs) ? target_lufs - lufs : 0.0;

    puresound::Chain chain("[{\"type\": \"gain\", \"gain_db\": " + std::to_string(gain_db) + "}, \"limiter\"]", audio.rate_hz(),
                           audio.layout(), block_frames);
    puresound::Encoder encoder(engine, to, audio.rate_hz(), audio.layout());
    /* The limiter looks ahead: what it gives first is older than the recording, and what it gives last comes after its end. */
    std::size_t skip = chain.latency_frames();
    const std::size_t total = audio.frames() + skip;
    std::vector<std::vector<float>> block(count, std::vector<float>(block_frames));
    std::vector<float *> work;
    for (auto &channel : block) {
        work.push_back(channel.data());
    }
    for (std::size_t start = 0; start < total; start += block_frames) {
        const std::size_t frames = std::min(block_frames, total - start);
        const std::size_t sounding = start < audio.frames() ? std::min(frames, audio.frames() - start) : 0;
        for (std::size_t channel = 0; channel < count; channel++) {
            std::copy_n(channels[channel] + std::min(start, audio.frames()), sounding, work[channel]);
            std::fill(work[channel] + sounding, work[channel] + frames, 0.0F);
        }
        chain.process(work.data(), count, frames);
        const std::size_t skipped = std::min(skip, frames);
        skip -= skipped;
        encoder.write(at(work, skipped).data(), count, frames - skipped);
    }
    encoder.finish();
    std::printf("%s: %.1f LUFS, %+.1f dB\n", from.c_str(), lufs, gain_db);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: %s LUFS FOLDER RECORDING...\n", argv[0]);
        return 2;
    }
    try {
        const puresound::Engine engine;
        const std::filesystem::path folder(argv[2]);
        std::filesystem::create_directories(folder);
        for (int index = 3; index < argc; index++) {
            const auto name = std::filesystem::path(argv[index]).stem().string() + ".flac";
            level(engine, argv[index], (folder / name).string(), std::atof(argv[1]));
        }
    } catch (const puresound::Error &error) {
        std::fprintf(stderr, "%s: %s\n", error.name().c_str(), error.what());
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
