/* The C++ wrapper: owners, exceptions, callbacks. What the functions do is tested in C and by the parity cases. */
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "puresound.hpp"

namespace {

unsigned long checks;
unsigned long mistakes;

#define CHECK(condition)                                                            \
    do {                                                                            \
        checks++;                                                                   \
        if (!(condition)) {                                                         \
            mistakes++;                                                             \
            std::printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);   \
        }                                                                           \
    } while (0)

/* The status that a call throws; OK when it throws nothing. */
template <class Function>
psnd_status thrown(Function function) {
    try {
        function();
    } catch (const puresound::Error &error) {
        CHECK(std::strlen(error.what()) > 5);
        CHECK(error.json().find(error.name()) != std::string::npos);
        CHECK(!error.kind().empty());
        return error.status();
    }
    return PSND_STATUS_OK;
}

bool has(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

/* The binary interface: these never change, only grow at the end. */
static_assert(sizeof(psnd_status) == 4, "statuses are 32 bits");
static_assert(offsetof(psnd_input, struct_size) == 0 && offsetof(psnd_input, path) == 8 && offsetof(psnd_input, data) == 16, "input");
static_assert(offsetof(psnd_input, size) == 24 && offsetof(psnd_input, audio) == 32 && offsetof(psnd_input, reader) == 40, "input");
static_assert(offsetof(psnd_call, cancel) == 8 && offsetof(psnd_call, progress) == 16 && offsetof(psnd_call, user_data) == 24, "call");
static_assert(offsetof(psnd_call, destroy) == 32, "call");
static_assert(offsetof(psnd_reader, read) == 8 && offsetof(psnd_reader, seek) == 16 && offsetof(psnd_reader, size) == 24, "reader");
static_assert(offsetof(psnd_progress, stage) == 8 && offsetof(psnd_progress, fraction) == 16, "progress");

/* Owners move and do not copy. */
template <class Owner>
constexpr bool moves_only = std::is_nothrow_move_constructible_v<Owner> && std::is_nothrow_move_assignable_v<Owner> &&
                            !std::is_copy_constructible_v<Owner> && !std::is_copy_assignable_v<Owner>;
static_assert(moves_only<puresound::Engine> && moves_only<puresound::Audio> && moves_only<puresound::Decoder>);
static_assert(moves_only<puresound::Encoder> && moves_only<puresound::Chain> && moves_only<puresound::Meter>);
static_assert(moves_only<puresound::Resampler> && moves_only<puresound::CancelToken> && moves_only<puresound::Subscription>);
static_assert(moves_only<puresound::Poller> && moves_only<puresound::Outputs>);

const std::vector<float> &noise() {
    static const std::vector<float> samples = [] {
        std::vector<float> made(48000);
        std::uint32_t state = 1;
        for (float &sample : made) {
            state = state * 1664525U + 1013904223U;
            sample = (static_cast<float>(state >> 8) / 8388608.0F - 1.0F) * 0.25F;
        }
        return made;
    }();
    return samples;
}

void test_errors() {
    CHECK(puresound::version() == PSND_VERSION && puresound::abi_version() == PSND_ABI_VERSION);
    CHECK(has(puresound::error_table(), "INVALID_HANDLE") && has(puresound::schema(), "\"recipe\""));
    CHECK(has(puresound::schema("usage"), "Usage") && has(puresound::filters(), "limiter"));
    CHECK(thrown([] { puresound::schema("recip"); }) == PSND_STATUS_UNKNOWN_NAME);
    try {
        const puresound::Engine wrong("{\"engine\": {\"thread\": 2}}");
        CHECK(false);
    } catch (const puresound::Error &error) {
        CHECK(error.status() == PSND_STATUS_INVALID && error.name() == "INVALID" && error.kind() == "out_of_range");
        CHECK(has(error.json(), "did you mean 'engine.threads'"));
    }
}

void test_owners() {
    puresound::Chain chain("[\"gain:gain_db=-6\"]", 48000, "mono", 64);
    puresound::Chain moved(std::move(chain));
    CHECK(moved.latency_frames() == 0);
    CHECK(thrown([&] { (void)chain.latency_frames(); }) == PSND_STATUS_INVALID_HANDLE); // moved from: no handle
    chain = puresound::Chain("[\"limiter\"]", 48000, "mono", 64);
    CHECK(chain.latency_frames() > 0);
    chain = std::move(moved);
    CHECK(chain.latency_frames() == 0);
    chain.close();
    chain.close();
    CHECK(thrown([&] { chain.reset(); }) == PSND_STATUS_INVALID_HANDLE);
}

void test_engine(const std::string &folder, const std::string &recording) {
    const puresound::Engine engine("{\"engine\": {\"threads\": 2}}");
    const auto input = puresound::Input::path(recording);
    CHECK(has(engine.config(), "\"threads\":2") && has(engine.presets(), "podcast") && has(engine.preset("podcast"), "-16"));
    CHECK(has(engine.probe(input), "flac") && has(engine.tags(input), "Austen") && has(engine.measure(input), "integrated_lufs"));
    CHECK(has(engine.recipe("{\"output\": \"a.wav\"}"), "a.wav") && has(engine.plan(input, "{\"output\": \"a.wav\"}"), "a.wav"));
    CHECK(has(engine.metrics(), "# EOF\n") && has(engine.health("live"), "pass") && has(engine.usage(), "\"granted\":"));
    CHECK(has(engine.health(), "checks") && thrown([&] { engine.health("x"); }) == PSND_STATUS_INVALID_VALUE);
    const std::string path = folder + "/cpp.wav";
    CHECK(has(engine.process(input, "{\"trim\": {\"end_s\": 1}, \"output\": \"" + path + "\"}"), "report_version"));
    CHECK(std::ifstream(path).good());
    const auto again = engine.process(puresound::Input::in_request(), "{\"input\": \"" + path + "\", \"output\": \"" + folder + "/cpp.flac\"}");
    CHECK(has(again, "cpp.flac"));
    auto [report, outputs] = engine.process_to_memory(input, "{\"trim\": {\"end_s\": 1}, \"outputs\": [{\"format\": {\"format\": \"flac\"}}]}");
    CHECK(has(report, "outputs") && outputs.count() == 1);
    const auto [bytes, size] = outputs.bytes(0);
    CHECK(size > 1000 && std::memcmp(bytes, "fLaC", 4) == 0);
    CHECK(has(engine.probe(puresound::Input::bytes(bytes, size)), "flac"));
    CHECK(thrown([&] { engine.probe(puresound::Input::bytes(nullptr, 0)); }) == PSND_STATUS_EMPTY);

    const puresound::Audio audio = engine.decode(input);
    CHECK(audio.rate_hz() == 16000 && audio.channels() == 1 && audio.frames() == 395680 && audio.layout() == "mono");
    std::vector<float> head(100);
    CHECK(audio.copy_interleaved(head.data(), head.size()) == 100);
    CHECK(std::memcmp(head.data(), audio.channel(0), head.size() * sizeof(float)) == 0);
    const puresound::EncodedBytes encoded = engine.encode_to_memory(audio, "{\"format\": \"wav\"}");
    CHECK(encoded.bytes.size() > 395680 * 2 && has(encoded.encoded, "395680"));
    CHECK(has(engine.encode(audio, folder + "/cpp.mp3"), "frames"));
    CHECK(has(engine.probe(puresound::Input::audio(audio)), "16000"));
    const float *const planes[1] = {noise().data()};
    CHECK(puresound::Audio::from_planar(planes, 1, 100, 48000, "mono").frames() == 100);
    CHECK(puresound::Audio::from_interleaved(noise().data(), 100, 48000, "stereo").channels() == 2);
}

struct Stop : std::runtime_error {
    Stop() : std::runtime_error("enough") {}
};

void test_pictures() {
    const puresound::Engine engine;
    const auto audio = puresound::Audio::from_interleaved(noise().data(), noise().size(), 48000, "mono");
    const auto input = puresound::Input::audio(audio);
    const std::string text = "no audio at all, but some bytes of text";
    const auto none = puresound::Input::bytes(text.data(), text.size());
    CHECK(has(engine.classify(input), "\"class\":\""));
    CHECK(has(engine.recommend(input, "{\"content\": \"speech\"}"), "\"content\":\"speech\""));
    CHECK(has(engine.compare(input, input), "\"identical\":true"));
    CHECK(thrown([&] { engine.compare(input, none); }) == PSND_STATUS_NOT_AUDIO);
    CHECK(thrown([&] { engine.compare(input, puresound::Input::in_request()); }) == PSND_STATUS_INVALID_VALUE);
    CHECK(has(engine.waveform_peaks(input, "{\"peaks\": {\"samples_per_pixel\": 24000}}"), "\"samples_per_pixel\":24000"));
    const auto picture = [](const std::vector<std::uint8_t> &png) { return png.size() > 24 && std::memcmp(png.data() + 1, "PNG", 3) == 0; };
    CHECK(picture(engine.waveform_png(input)) && picture(engine.spectrogram_png(input, "{\"width\": 200, \"height\": 80}")));
    CHECK(thrown([&] { engine.waveform_png(input, "{\"width\": 1}"); }) == PSND_STATUS_OUT_OF_RANGE);

    std::string data = "as it was";
    CHECK(thrown([&] { engine.analysis_page(none, "", puresound::Call(), &data); }) == PSND_STATUS_NOT_AUDIO && data == "as it was");
    CHECK(has(engine.analysis_page(input, "{\"title\": \"Noise\"}", puresound::Call(), &data), "Noise") && has(data, "\"check\":"));
    CHECK(has(engine.analysis_page(input), "</html>"));
    const auto [report, outputs] =
        engine.process_to_memory(input, "{\"filters\": [\"gain:gain_db=-6\"], \"outputs\": [{\"format\": {\"format\": \"wav\"}}]}");
    const auto [bytes, size] = outputs.bytes(0);
    const auto after = puresound::Input::bytes(bytes, size);
    CHECK(has(engine.comparison_page(input, after, report), "What was done"));
    CHECK(!has(engine.comparison_page(input, after), "What was done"));
    CHECK(thrown([&] { engine.comparison_page(input, after, "{"); }) == PSND_STATUS_INVALID_VALUE);

    /* What is cancelled gives nothing, and what a callback throws comes out. */
    puresound::CancelToken token;
    token.cancel();
    puresound::Call call;
    call.cancel = &token;
    CHECK(thrown([&] { engine.spectrogram_png(input, "", call); }) == PSND_STATUS_CANCELLED);
    CHECK(thrown([&] { engine.analysis_page(input, "", call, &data); }) == PSND_STATUS_CANCELLED);
    puresound::Call throwing;
    throwing.progress = [](const puresound::Progress &) -> bool { throw Stop(); };
    int stopped = 0;
    for (const bool page : {false, true}) {
        try {
            page ? (void)engine.analysis_page(input, "", throwing, &data) : (void)engine.waveform_png(input, "", throwing);
        } catch (const Stop &) {
            stopped++;
        }
    }
    CHECK(stopped == 2);
}

void test_calls(const std::string &recording) {
    const puresound::Engine engine;
    const auto input = puresound::Input::path(recording);
    puresound::Call call;
    double last = -1.0;
    call.progress = [&](const puresound::Progress &progress) {
        CHECK(!progress.stage.empty() && progress.fraction >= last);
        last = progress.fraction;
        return true;
    };
    CHECK(has(engine.measure(input, "", call), "integrated_lufs") && last == 1.0);
    call.progress = [](const puresound::Progress &) { return false; };
    CHECK(thrown([&] { engine.measure(input, "", call); }) == PSND_STATUS_CANCELLED);
    /* What a callback throws comes out of the call. */
    call.progress = [](const puresound::Progress &) -> bool { throw Stop(); };
    bool stopped = false;
    try {
        engine.process_to_memory(input, "{\"outputs\": [{\"format\": {\"format\": \"mp3\"}}]}", call);
    } catch (const Stop &) {
        stopped = true;
    }
    CHECK(stopped);
    puresound::CancelToken token;
    CHECK(!token.is_cancelled());
    token.cancel();
    CHECK(token.is_cancelled());
    puresound::Call cancelled;
    cancelled.cancel = &token;
    CHECK(thrown([&] { engine.measure(input, "", cancelled); }) == PSND_STATUS_CANCELLED);
}

void test_callbacks(const std::string &recording) {
    const puresound::Engine engine;
    std::atomic<int> heard{0};
    auto counted = std::make_shared<int>(7); // its count tells whether the function was dropped
    {
        auto subscription = engine.subscribe("test.*", [&heard, counted](std::string_view event) {
            heard += event.find("test.") != std::string_view::npos;
            throw std::runtime_error("dropped");
        });
        CHECK(counted.use_count() == 2);
        engine.publish("test.one", "1");
        engine.publish("test.two", "{}");
        for (int tries = 0; tries < 10000 && heard < 2; tries++) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        CHECK(heard == 2 && has(subscription.stats(), "delivered"));
    }
    CHECK(counted.use_count() == 1);
    CHECK(thrown([&] { engine.subscribe("..", [counted](std::string_view) {}); }) == PSND_STATUS_INVALID_VALUE);
    CHECK(counted.use_count() == 1);

    const puresound::Poller poller = engine.poll("test.*");
    CHECK(!poller.next());
    engine.publish("test.three", "3");
    CHECK(has(poller.next(1000).value_or(""), "test.three"));

    std::atomic<int> logged{0};
    engine.log("info", [&logged, counted](const puresound::LogRecord &record) {
        logged += record.level == "info" && !record.message.empty() && record.json.front() == '{';
        throw std::runtime_error("dropped");
    });
    const auto run = [&] {
        engine.process_to_memory(puresound::Input::path(recording),
                                 "{\"trim\": {\"end_s\": 1}, \"outputs\": [{\"format\": {\"format\": \"wav\"}}]}");
    };
    run();
    CHECK(logged > 0 && counted.use_count() == 2);
    engine.log("error");
    const int before = logged;
    run();
    CHECK(logged == before);
    engine.log("off");
    CHECK(counted.use_count() == 1);
    CHECK(thrown([&] { engine.log("loud", [counted](const puresound::LogRecord &) {}); }) == PSND_STATUS_INVALID_VALUE);
    CHECK(counted.use_count() == 1);
}

void test_streams(const std::string &folder, const std::string &recording) {
    const puresound::Engine engine;
    puresound::Decoder decoder(engine, puresound::Input::path(recording));
    CHECK(has(decoder.info(), "16000"));
    std::vector<float> block(1000);
    float *planes[1] = {block.data()};
    CHECK(decoder.read(planes, 1, block.size()) == 1000);
    decoder.seek(395000);
    std::size_t total = 0;
    while (const std::size_t frames = decoder.read_interleaved(block.data(), block.size())) {
        total += frames;
    }
    CHECK(total == 680 && has(decoder.damage(), "event_count"));

    puresound::Encoder encoder(engine, "", 48000, "mono", "{\"format\": \"flac\"}");
    encoder.write_interleaved(noise().data(), noise().size());
    const puresound::EncodedBytes encoded = encoder.finish();
    CHECK(encoded.bytes.size() > 1000 && has(encoded.encoded, "48000"));
    CHECK(thrown([&] { encoder.finish(); }) == PSND_STATUS_CLOSED);
    const std::string path = folder + "/given-up.mp3";
    {
        puresound::Encoder file(engine, path, 48000, "mono");
        file.write_interleaved(noise().data(), noise().size());
        file.abort();
    }
    CHECK(!std::ifstream(path).good());
}

void test_live() {
    std::vector<float> samples = noise();
    float *planes[1] = {samples.data()};
    puresound::Chain chain("[{\"type\": \"gain\", \"gain_db\": -6}]", 48000, "mono", 480);
    chain.set_glide_ms(0.0);
    chain.process(planes, 1, 480);
    CHECK(samples[0] == noise()[0] * 0.501187233627272F);
    chain.set_parameter(0, "gain_db", 0.0);
    chain.process_interleaved(samples.data() + 480, 480);
    CHECK(samples[500] == noise()[500] && chain.tail_frames() == 0 && chain.finish(planes, 1, 480) == 0);
    chain.reset();

    puresound::Meter meter(48000, "mono");
    meter.push_interleaved(noise().data(), noise().size());
    const float *const read[1] = {noise().data()};
    meter.push(read, 1, noise().size());
    CHECK(meter.frames() == 2 * noise().size() && std::isfinite(meter.momentary_lufs()) && std::isfinite(meter.integrated_lufs()));
    CHECK(has(meter.summary(), "true_peak_dbtp"));
    meter.reset();
    CHECK(std::isinf(meter.short_term_lufs()) && meter.short_term_lufs() < 0.0);

    puresound::Resampler resampler(48000, 24000, 1, "fast");
    std::vector<float> out(resampler.max_output_frames(noise().size()));
    std::size_t total = resampler.process_interleaved(noise().data(), noise().size(), out.data(), out.size());
    while (const std::size_t frames = resampler.finish_interleaved(out.data(), out.size())) {
        total += frames;
    }
    CHECK(total == noise().size() / 2);
    resampler.reset();
    float *to[1] = {out.data()};
    CHECK(resampler.process(read, 1, 0, to, out.size()) == 0);
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s FOLDER RECORDING\n", argv[0]);
        return 2;
    }
    test_errors();
    test_owners();
    test_engine(argv[1], argv[2]);
    test_pictures();
    test_calls(argv[2]);
    test_callbacks(argv[2]);
    test_streams(argv[1], argv[2]);
    test_live();
    std::printf("C++ wrapper: %lu checks, %lu mistakes\n", checks, mistakes);
    return mistakes == 0 ? 0 : 1;
}
