/* The cases of tests/parity in C++, through the wrapper. See tests/parity/README.md. */
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "puresound.hpp"
#include "support.h"

namespace {

using Json = nlohmann::ordered_json;
using Planes = std::vector<std::vector<float>>;

/* A case that cannot be run. */
struct Broken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string text(const Json &from, const char *key) { return from.contains(key) ? from[key].get<std::string>() : std::string(); }
std::size_t number(const Json &from, const char *key, std::size_t otherwise) {
    return from.contains(key) ? from[key].get<std::size_t>() : otherwise;
}
bool flag(const Json &from, const char *key) { return from.contains(key) && from[key].get<bool>(); }
/* An argument as JSON text; empty when it is left out. */
std::string json(const Json &from, const char *key) { return from.contains(key) ? from[key].dump() : std::string(); }

/* ---- Digests ---- */

class Digest {
public:
    Digest() { sha256_start(&state_); }
    void add(const void *data, std::size_t size) { sha256_add(&state_, data, size); }
    template <class Pointers>
    void add_planar(const Pointers &channels, std::size_t frames) {
        std::vector<const float *> read(channels.begin(), channels.end());
        sha256_add_planar(&state_, read.data(), read.size(), frames);
    }
    std::string hex() {
        char digits[65];
        sha256_end(&state_, digits);
        return digits;
    }

private:
    sha256 state_;
};

Json told_bytes(const void *data, std::size_t size) {
    Digest digest;
    digest.add(data, size);
    return {{"bytes", size}, {"sha256", digest.hex()}};
}

std::string contents(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw Broken("cannot read " + path);
    }
    std::ostringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
}

/* ---- Signals and inputs ---- */

struct Signal {
    Planes planes;
    std::size_t frames;
    std::uint32_t rate_hz;
    std::string layout;

    std::size_t channels() const { return planes.size(); }
    /* Where each channel is, from a frame on. */
    std::vector<float *> at(std::size_t frame) {
        std::vector<float *> pointers;
        for (auto &plane : planes) {
            pointers.push_back(plane.data() + frame);
        }
        return pointers;
    }
    std::vector<float> interleaved(std::size_t start, std::size_t count) const {
        std::vector<float> samples;
        samples.reserve(count * channels());
        for (std::size_t frame = start; frame < start + count; frame++) {
            for (const auto &plane : planes) {
                samples.push_back(plane[frame]);
            }
        }
        return samples;
    }
    void put(std::size_t start, const std::vector<float> &samples, std::size_t count) {
        for (std::size_t frame = 0; frame < count; frame++) {
            for (std::size_t channel = 0; channel < channels(); channel++) {
                planes[channel][start + frame] = samples[frame * channels() + channel];
            }
        }
    }
};

Signal blank(std::size_t channels, std::size_t frames, std::uint32_t rate_hz) {
    return {Planes(channels, std::vector<float>(frames)), frames, rate_hz, std::to_string(channels)};
}

Signal make_signal(const Json &from) {
    Signal made = blank(number(from, "channels", 1), number(from, "frames", 0), static_cast<std::uint32_t>(number(from, "rate_hz", 48000)));
    if (from.contains("layout")) {
        made.layout = text(from, "layout");
    }
    const std::string kind = text(from, "kind");
    const char *of = kind == "noise" ? "seed" : kind == "square" ? "period_frames" : "at";
    const float gain = from.contains("gain") ? from["gain"].get<float>() : 1.0F;
    for (std::size_t channel = 0; channel < made.channels(); channel++) {
        if (!fill_signal(kind.c_str(), static_cast<std::uint32_t>(number(from, of, 0)), gain, channel, made.planes[channel].data(),
                         made.frames)) {
            throw Broken("unknown signal " + kind);
        }
    }
    return made;
}

puresound::Audio to_audio(const Signal &signal) {
    std::vector<const float *> planes;
    for (const auto &plane : signal.planes) {
        planes.push_back(plane.data());
    }
    return puresound::Audio::from_planar(planes.data(), planes.size(), signal.frames, signal.rate_hz, signal.layout);
}

/* The input of a case, with what it borrows. */
class CaseInput {
public:
    explicit CaseInput(const Json &args, const char *key = "input") {
        if (!args.contains(key)) {
            return;
        }
        const Json &from = args[key];
        if (from.contains("signal")) {
            audio_ = to_audio(make_signal(from["signal"]));
        } else if (from.contains("path")) {
            path_ = text(from, "path");
        } else if (from.contains("base64")) {
            std::size_t size = 0;
            unsigned char *bytes = base64_decode(text(from, "base64").c_str(), &size);
            bytes_ = std::string(reinterpret_cast<char *>(bytes), size);
            std::free(bytes);
        } else if (!from.contains("file")) {
            throw Broken("unknown input");
        } else if (!from.contains("damage") && !from.contains("keep_bytes") && !flag(from, "memory")) {
            path_ = text(from, "file");
        } else {
            std::string bytes = contents(text(from, "file"));
            bytes.resize(std::min(bytes.size(), number(from, "keep_bytes", bytes.size())));
            for (const Json &part : from.value("damage", Json::array())) {
                const std::size_t at = number(part, "at", 0), end = std::min(bytes.size(), at + number(part, "count", 0));
                for (std::size_t index = at; index < end; index++) {
                    bytes[index] = static_cast<char>(static_cast<unsigned char>(bytes[index]) ^ number(part, "xor", 0));
                }
            }
            bytes_ = std::move(bytes);
        }
    }
    puresound::Input get() const {
        if (audio_) {
            return puresound::Input::audio(*audio_);
        }
        if (path_) {
            return puresound::Input::path(*path_);
        }
        if (bytes_) {
            return puresound::Input::bytes(bytes_->data(), bytes_->size());
        }
        return puresound::Input::in_request();
    }

private:
    std::optional<puresound::Audio> audio_;
    std::optional<std::string> path_;
    std::optional<std::string> bytes_;
};

/* ---- Operations ---- */

struct Context {
    const Json &args;
    const puresound::Engine &engine;
    const CaseInput &input;
};

Json process(const Context &self, const puresound::Call &call = puresound::Call()) {
    const Json &request = self.args["request"];
    bool in_memory = request.contains("outputs") && !request["outputs"].empty();
    for (const Json &output : request.value("outputs", Json::array())) {
        in_memory = in_memory && output.is_object() && !output.contains("path");
    }
    Json result;
    Json list = Json::array();
    if (in_memory) {
        const auto [report, outputs] = self.engine.process_to_memory(self.input.get(), request.dump(), call);
        result["report"] = Json::parse(report);
        for (std::size_t index = 0; index < outputs.count(); index++) {
            const auto [data, size] = outputs.bytes(index);
            list.push_back(told_bytes(data, size));
        }
    } else {
        result["report"] = Json::parse(self.engine.process(self.input.get(), request.dump(), call));
        for (const Json &output : result["report"]["outputs"]) {
            const std::string bytes = contents(text(output, "path"));
            list.push_back(told_bytes(bytes.data(), bytes.size()));
        }
    }
    result["outputs"] = std::move(list);
    return result;
}

void process_first(const Context &self) {
    if (self.args.contains("request")) {
        process(self);
    }
}

Json names_of(const Json &list) {
    Json names = Json::array();
    for (const auto &item : list.items()) {
        names.push_back(list.is_array() ? item.value()["name"] : Json(item.key()));
    }
    return {{"names", names}};
}

Json op_filters(const Context &self) {
    const Json all = Json::parse(puresound::filters());
    Json result = {{"count", all.size()}};
    for (const Json &filter : all) {
        if (filter["name"] == text(self.args, "filter")) {
            result["filter"] = filter;
        }
    }
    return result;
}

Json op_schema(const Context &self) {
    const Json found = Json::parse(puresound::schema(text(self.args, "schema")));
    return self.args.contains("schema") ? found : names_of(found);
}

Json op_compare(const Context &self) {
    const CaseInput reference(self.args, "reference"), degraded(self.args, "degraded");
    return Json::parse(self.engine.compare(reference.get(), degraded.get(), json(self.args, "options")));
}

Json op_picture(const Context &self) {
    const std::string of = text(self.args, "of"), options = json(self.args, "options");
    if (of != "waveform" && of != "spectrogram") {
        throw Broken("a picture of " + of);
    }
    const std::vector<std::uint8_t> png = of == "waveform" ? self.engine.waveform_png(self.input.get(), options)
                                                           : self.engine.spectrogram_png(self.input.get(), options);
    // Big-endian, in the first chunk.
    const auto number_at = [&](std::size_t at) {
        std::uint32_t number = 0;
        for (std::size_t index = at; index < at + 4; index++) {
            number = number << 8 | png.at(index);
        }
        return number;
    };
    Json result = told_bytes(png.data(), png.size());
    result["width"] = number_at(16);
    result["height"] = number_at(20);
    return result;
}

/* Which texts of the case are in a page. */
Json found_in(const Context &self, const std::string &html) {
    Json found = Json::object();
    for (const Json &wanted : self.args.value("find", Json::array())) {
        const std::string part = wanted.get<std::string>();
        found[part] = html.find(part) != std::string::npos;
    }
    return found;
}

Json op_page(const Context &self) {
    std::string data;
    const std::string html = self.engine.analysis_page(self.input.get(), json(self.args, "options"), puresound::Call(), &data);
    Json result = Json::parse(data);
    result["found"] = found_in(self, html);
    return result;
}

Json op_page_of_two(const Context &self) {
    const CaseInput before(self.args, "before"), after(self.args, "after");
    const std::string options = json(self.args, "options");
    if (!self.args.contains("request")) {
        return {{"found", found_in(self, self.engine.comparison_page(before.get(), after.get(), std::string(), options))}};
    }
    const auto [report, outputs] = self.engine.process_to_memory(before.get(), json(self.args, "request"));
    const auto [data, size] = outputs.bytes(0);
    const auto made = puresound::Input::bytes(data, size);
    return {{"found", found_in(self, self.engine.comparison_page(before.get(), made, report, options))}};
}

Json op_decode(const Context &self) {
    const puresound::Audio audio = self.engine.decode(self.input.get(), json(self.args, "options"));
    std::vector<const float *> planes;
    for (std::size_t channel = 0; channel < audio.channels(); channel++) {
        planes.push_back(audio.channel(channel));
    }
    Digest digest;
    digest.add_planar(planes, audio.frames());
    return {{"rate_hz", audio.rate_hz()}, {"channels", audio.channels()}, {"layout", audio.layout()}, {"frames", audio.frames()},
            {"sha256", digest.hex()}};
}

Json encoded(const std::string &told, const void *data, std::size_t size) {
    Json result = told_bytes(data, size);
    result["encoded"] = Json::parse(told);
    return result;
}

Json encoded_file(const std::string &told, const std::string &path) {
    const std::string bytes = contents(path);
    return encoded(told, bytes.data(), bytes.size());
}

/* Does with jobs what the case wants, and tells what became of them. */
Json op_jobs(const Context &self) {
    const Json &args = self.args;
    if (args.contains("signal")) {
        self.engine.encode(to_audio(make_signal(args["signal"])), text(args, "path"));
    }
    const puresound::Jobs jobs(self.engine, text(args, "database"));
    if (args.contains("gate")) {
        jobs.set_gate(text(args["gate"], "scope"), text(args["gate"], "gate"));
    }
    if (args.contains("get")) {
        return Json::parse(jobs.get(text(args, "get")));
    }
    const Json made = Json::parse(jobs.submit(json(args, "submission")));
    const Json none = Json::array();
    Json result = {{"duplicates", none}, {"cancelled", none}, {"over", false}, {"handed_back", 0}, {"states", none}, {"errors", none},
                   {"priorities", none}, {"steps", none}, {"batch", nullptr}};
    Json ids = none;
    for (const Json &job : made["jobs"]) {
        ids.push_back(job["id"]);
        result["duplicates"].push_back(job["duplicate"]);
    }
    for (const Json &index : args.value("cancel", none)) {
        result["cancelled"].push_back(Json::parse(jobs.cancel(ids[index.get<std::size_t>()].get<std::string>(), "by the case")));
    }
    for (const Json &index : args.value("retry", none)) {
        jobs.retry(ids[index.get<std::size_t>()].get<std::string>());
    }
    result["listed"] = Json::parse(jobs.list(json(args, "filter"))).size();
    if (args.contains("start")) {
        jobs.start(json(args, "start"));
        result["over"] = jobs.wait(ids.dump(), 60.0);
        result["handed_back"] = jobs.stop();
    }
    for (const Json &id : ids) {
        const Json record = Json::parse(jobs.get(id.get<std::string>()));
        result["states"].push_back(record["state"]);
        result["errors"].push_back(record["error"].is_null() ? Json() : record["error"]["name"]);
        result["priorities"].push_back(record["spec"]["priority"]);
        Json life = none;
        for (const Json &step : Json::parse(jobs.history(id.get<std::string>()))) {
            life.push_back(step["to"]);
        }
        result["steps"].push_back(life);
    }
    if (!made["batch"].is_null()) {
        const Json batch = Json::parse(jobs.batch(made["batch"].get<std::string>()));
        result["batch"] = {{"name", batch["name"]}, {"states", batch["states"]}};
    }
    result["stats"] = Json::parse(jobs.stats())["states"];
    return result;
}

Json op_encode(const Context &self) {
    const puresound::Audio audio = to_audio(make_signal(self.args["signal"]));
    const std::string path = text(self.args, "path"), format = json(self.args, "format"), metadata = json(self.args, "metadata");
    if (!path.empty()) {
        return encoded_file(self.engine.encode(audio, path, format, metadata), path);
    }
    const puresound::EncodedBytes made = self.engine.encode_to_memory(audio, format, metadata);
    return encoded(made.encoded, made.bytes.data(), made.bytes.size());
}

/* Calls with the start and length of each block. */
void in_blocks(std::size_t frames, std::size_t block_frames, const std::function<void(std::size_t, std::size_t)> &each) {
    for (std::size_t at = 0; at < frames; at += block_frames) {
        each(at, std::min(block_frames, frames - at));
    }
}

void pass(const Context &self, puresound::Chain &chain, Signal &signal) {
    const std::size_t block_frames = number(self.args, "block_frames", 480);
    const Json changes = self.args.value("changes", Json::array());
    for (std::size_t at = 0; at < signal.frames;) {
        std::size_t end = std::min(at + block_frames, signal.frames);
        for (const Json &change : changes) {
            const std::size_t border = number(change, "at_frame", 0);
            if (border > at && border < end) {
                end = border;
            }
        }
        for (const Json &change : changes) {
            if (number(change, "at_frame", 0) == at) {
                chain.set_parameter(number(change, "filter", 0), text(change, "parameter"), change["value"].get<double>());
            }
        }
        if (flag(self.args, "interleaved")) {
            std::vector<float> block = signal.interleaved(at, end - at);
            chain.process_interleaved(block.data(), end - at);
            signal.put(at, block, end - at);
        } else {
            chain.process(signal.at(at).data(), signal.channels(), end - at);
        }
        at = end;
    }
}

Json op_chain(const Context &self) {
    Signal signal = make_signal(self.args["signal"]);
    puresound::Chain chain(json(self.args, "filters"), signal.rate_hz, signal.layout,
                           number(self.args, "max_frames", number(self.args, "block_frames", 480)));
    Json result = {{"latency_frames", chain.latency_frames()}, {"tail_frames", chain.tail_frames()}};
    for (const bool again : {false, true}) {
        if (again && !flag(self.args, "reset")) {
            break;
        }
        if (again) {
            signal = make_signal(self.args["signal"]);
            chain.reset();
        }
        pass(self, chain, signal);
        Digest digest;
        digest.add_planar(signal.at(0), signal.frames);
        std::size_t frames = signal.frames;
        Signal rest = blank(signal.channels(), 1000, signal.rate_hz);
        while (flag(self.args, "finish")) {
            const std::size_t got = chain.finish(rest.at(0).data(), rest.channels(), rest.frames);
            if (got == 0) {
                break;
            }
            digest.add_planar(rest.at(0), got);
            frames += got;
        }
        result["frames"] = frames;
        result[again ? "again" : "sha256"] = digest.hex();
    }
    return result;
}

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json op_meter(const Context &self) {
    Signal signal = make_signal(self.args["signal"]);
    puresound::Meter meter(signal.rate_hz, signal.layout, json(self.args, "options"));
    in_blocks(signal.frames, number(self.args, "block_frames", 480), [&](std::size_t at, std::size_t count) {
        if (flag(self.args, "interleaved")) {
            meter.push_interleaved(signal.interleaved(at, count).data(), count);
        } else {
            meter.push(signal.at(at).data(), signal.channels(), count);
        }
    });
    return {{"momentary_lufs", finite(meter.momentary_lufs())}, {"short_term_lufs", finite(meter.short_term_lufs())},
            {"integrated_lufs", finite(meter.integrated_lufs())}, {"summary", Json::parse(meter.summary())}};
}

Json op_resample(const Context &self) {
    Signal signal = make_signal(self.args["signal"]);
    const std::size_t channels = signal.channels(), block_frames = number(self.args, "block_frames", 480);
    const bool flat = flag(self.args, "interleaved");
    puresound::Resampler resampler(signal.rate_hz, static_cast<std::uint32_t>(number(self.args, "to_rate_hz", 0)), channels,
                                   text(self.args, "quality"));
    const std::size_t room = resampler.max_output_frames(block_frames);
    Signal out = blank(channels, room, 0);
    std::vector<float> flat_out(room * channels);
    Digest digest;
    std::size_t total = 0;
    const auto take = [&](std::size_t got) {
        if (flat) {
            out.put(0, flat_out, got);
        }
        digest.add_planar(out.at(0), got);
        total += got;
        return got;
    };
    in_blocks(signal.frames, block_frames, [&](std::size_t at, std::size_t count) {
        take(flat ? resampler.process_interleaved(signal.interleaved(at, count).data(), count, flat_out.data(), room)
                  : resampler.process(signal.at(at).data(), channels, count, out.at(0).data(), room));
    });
    while (take(flat ? resampler.finish_interleaved(flat_out.data(), room) : resampler.finish(out.at(0).data(), channels, room)) > 0) {
    }
    return {{"frames", total}, {"sha256", digest.hex()}};
}

Json op_stream_decode(const Context &self) {
    puresound::Decoder decoder(self.engine, self.input.get(), json(self.args, "options"));
    const Json info = Json::parse(decoder.info());
    const std::size_t channels = puresound::Audio::from_interleaved(nullptr, 0, 48000, info["spec"]["layout"].get<std::string>()).channels();
    const std::size_t max_frames = number(self.args, "max_frames", 4096);
    std::size_t left = number(self.args, "limit_frames", SIZE_MAX), total = 0, got = 0;
    Signal block = blank(channels, max_frames, 0);
    std::vector<float> samples(max_frames * channels);
    if (self.args.contains("seek")) {
        decoder.seek(number(self.args, "seek", 0));
    }
    Digest digest;
    do {
        const std::size_t count = std::min(max_frames, left);
        if (flag(self.args, "interleaved")) {
            got = decoder.read_interleaved(samples.data(), count);
            block.put(0, samples, got);
        } else {
            got = decoder.read(block.at(0).data(), channels, count);
        }
        digest.add_planar(block.at(0), got);
        total += got;
        left -= got;
    } while (got > 0 && left > 0);
    return {{"info", Json::parse(decoder.info())}, {"damage", Json::parse(decoder.damage())}, {"frames", total}, {"sha256", digest.hex()}};
}

Json op_stream_encode(const Context &self) {
    Signal signal = make_signal(self.args["signal"]);
    const std::string path = text(self.args, "path");
    const std::size_t abort_at = number(self.args, "abort_at_frame", SIZE_MAX);
    puresound::Encoder encoder(self.engine, path, signal.rate_hz, signal.layout, json(self.args, "format"), json(self.args, "metadata"));
    in_blocks(signal.frames, number(self.args, "block_frames", 480), [&](std::size_t at, std::size_t count) {
        if (at >= abort_at) {
            return;
        }
        if (flag(self.args, "interleaved")) {
            encoder.write_interleaved(signal.interleaved(at, count).data(), count);
        } else {
            encoder.write(signal.at(at).data(), signal.channels(), count);
        }
    });
    if (abort_at < signal.frames) {
        encoder.abort();
        return {{"aborted", true}};
    }
    const puresound::EncodedBytes made = encoder.finish();
    return path.empty() ? encoded(made.encoded, made.bytes.data(), made.bytes.size()) : encoded_file(made.encoded, path);
}

Json op_events(const Context &self) {
    const std::string pattern = self.args.contains("pattern") ? text(self.args, "pattern") : "process.*";
    std::mutex mutex;
    std::map<std::uint64_t, Json> heard; // by sequence number
    bool finished = false;
    const auto hear = [&](std::string_view event_json) {
        Json event = Json::parse(event_json);
        const std::lock_guard<std::mutex> lock(mutex);
        if (event["type"] == "event") {
            finished = finished || event["topic"] == "process.finished";
            heard.emplace(event["sequence"].get<std::uint64_t>(), std::move(event));
        }
    };
    if (flag(self.args, "poll")) {
        const puresound::Poller poller = self.engine.poll(pattern);
        process(self);
        while (const auto event = poller.next()) {
            hear(*event);
        }
    } else {
        puresound::Subscription subscription = self.engine.subscribe(pattern, hear);
        process(self);
        for (int tries = 0;; tries++) {
            {
                const std::lock_guard<std::mutex> lock(mutex);
                if (finished && Json::parse(subscription.stats())["waiting"] == 0) {
                    break;
                }
            }
            if (tries > 30000) {
                throw Broken("no process.finished");
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        subscription.close();
    }
    Json topics = Json::array(), stages = Json::array(), outcome;
    for (const auto &[sequence, event] : heard) {
        topics.push_back(event["topic"]);
        if (event["topic"] == "process.stage") {
            stages.push_back(event["payload"]["stage"]);
        } else if (event["topic"] == "process.finished") {
            outcome = event["payload"]["outcome"];
        }
    }
    return {{"topics", topics}, {"stages", stages}, {"outcome", outcome}};
}

Json op_progress(const Context &self) {
    std::vector<double> heard;
    puresound::Call call;
    call.progress = [&](const puresound::Progress &progress) {
        heard.push_back(progress.fraction);
        return true;
    };
    if (text(self.args, "of") == "measure") {
        self.engine.measure(self.input.get(), json(self.args, "options"), call);
    } else if (text(self.args, "of") == "check") {
        self.engine.check(self.input.get(), std::string(), json(self.args, "options"), call);
    } else if (text(self.args, "of") == "analyse") {
        self.engine.analyse(self.input.get(), json(self.args, "options"), call);
    } else if (text(self.args, "of") == "decode") {
        self.engine.decode(self.input.get(), json(self.args, "options"), call);
    } else {
        process(self, call);
    }
    const auto inside = [](double fraction) { return fraction >= 0.0 && fraction <= 1.0; };
    return {{"called", !heard.empty()}, {"monotone", std::is_sorted(heard.begin(), heard.end())},
            {"in_range", std::all_of(heard.begin(), heard.end(), inside)}, {"last", heard.empty() ? Json() : Json(heard.back())}};
}

Json op_cancel(const Context &self) {
    const puresound::CancelToken token;
    puresound::Call call;
    call.cancel = &token;
    if (text(self.args, "when") == "before") {
        token.cancel();
    } else {
        call.progress = [](const puresound::Progress &) { return false; };
    }
    return process(self, call);
}

Json op_metrics(const Context &self) {
    process_first(self);
    const std::string all = self.engine.metrics();
    std::istringstream lines(all);
    Json families = Json::object(), samples = Json::object();
    const std::string type = "# TYPE ";
    for (std::string line; std::getline(lines, line);) {
        const std::size_t space = line.rfind(' ');
        if (line.rfind(type, 0) == 0) {
            families[line.substr(type.size(), space - type.size())] = line.substr(space + 1);
        } else if (line[0] != '#' && line.find(" # ") == std::string::npos) {
            samples[line.substr(0, space)] = line.substr(space + 1);
        }
    }
    const std::string end = "# EOF\n";
    const bool ended = all.size() >= end.size() && all.compare(all.size() - end.size(), end.size(), end) == 0;
    return {{"families", families}, {"samples", samples}, {"ended", ended}};
}

const std::map<std::string, std::function<Json(const Context &)>> &operations() {
    static const std::map<std::string, std::function<Json(const Context &)>> all = {
        {"version", [](const Context &) { return Json{{"version", puresound::version()}}; }},
        {"error_table", [](const Context &) { return Json{{"errors", Json::parse(puresound::error_table())}}; }},
        {"presets", [](const Context &self) { return names_of(Json::parse(self.engine.presets())); }},
        {"preset", [](const Context &self) { return Json::parse(self.engine.preset(text(self.args, "preset"))); }},
        {"filters", op_filters},
        {"schema", op_schema},
        {"recipe", [](const Context &self) { return Json::parse(self.engine.recipe(json(self.args, "request"))); }},
        {"config", [](const Context &self) { return Json::parse(self.engine.config()); }},
        {"probe", [](const Context &self) { return Json::parse(self.engine.probe(self.input.get(), json(self.args, "options"))); }},
        {"tags", [](const Context &self) { return Json::parse(self.engine.tags(self.input.get(), json(self.args, "options"))); }},
        {"measure", [](const Context &self) { return Json::parse(self.engine.measure(self.input.get(), json(self.args, "options"))); }},
        {"analyse", [](const Context &self) { return Json::parse(self.engine.analyse(self.input.get(), json(self.args, "options"))); }},
        {"check", [](const Context &self) {
             return Json::parse(self.engine.check(self.input.get(), json(self.args, "specifications"), json(self.args, "options")));
         }},
        {"classify", [](const Context &self) { return Json::parse(self.engine.classify(self.input.get(), json(self.args, "options"))); }},
        {"recommend", [](const Context &self) { return Json::parse(self.engine.recommend(self.input.get(), json(self.args, "options"))); }},
        {"compare", op_compare},
        {"waveform_peaks", [](const Context &self) {
             return Json::parse(self.engine.waveform_peaks(self.input.get(), json(self.args, "options")));
         }},
        {"picture", op_picture},
        {"page", op_page},
        {"page_of_two", op_page_of_two},
        {"plan", [](const Context &self) { return Json::parse(self.engine.plan(self.input.get(), json(self.args, "request"))); }},
        {"process", [](const Context &self) { return process(self); }},
        {"decode", op_decode},
        {"encode", op_encode},
        {"chain", op_chain},
        {"meter", op_meter},
        {"resample", op_resample},
        {"stream_decode", op_stream_decode},
        {"stream_encode", op_stream_encode},
        {"events", op_events},
        {"progress", op_progress},
        {"cancel", op_cancel},
        {"jobs", op_jobs},
        {"metrics", op_metrics},
        {"health", [](const Context &self) { return Json::parse(self.engine.health(text(self.args, "probe"))); }},
        {"usage", [](const Context &self) { process_first(self); return Json::parse(self.engine.usage()); }},
    };
    return all;
}

/* ---- Cases ---- */

/* The first difference in words; empty when all that is expected is there. */
std::string difference(const std::string &place, const Json &expected, const Json &got, double tolerance) {
    if (expected.is_object() && got.is_object()) {
        for (const auto &item : expected.items()) {
            const std::string below = place + "." + item.key();
            if (!got.contains(item.key())) {
                return below + ": missing";
            }
            const std::string found = difference(below, item.value(), got[item.key()], tolerance);
            if (!found.empty()) {
                return found;
            }
        }
        return {};
    }
    if (expected.is_array() && got.is_array() && expected.size() == got.size()) {
        for (std::size_t index = 0; index < expected.size(); index++) {
            const std::string found = difference(place + "[" + std::to_string(index) + "]", expected[index], got[index], tolerance);
            if (!found.empty()) {
                return found;
            }
        }
        return {};
    }
    if (expected.is_number() && got.is_number()) {
        const double a = expected.get<double>(), b = got.get<double>();
        if (a == b || std::fabs(a - b) <= tolerance) {
            return {};
        }
    } else if (expected == got) {
        return {};
    }
    return place + ": " + got.dump().substr(0, 300) + " instead of " + expected.dump().substr(0, 300);
}

void put_folder(Json &value, const std::string &folder) {
    if (value.is_string()) {
        std::string made = value.get<std::string>();
        const std::string mark = "{dir}";
        for (std::size_t at; (at = made.find(mark)) != std::string::npos;) {
            made.replace(at, mark.size(), folder);
        }
        value = made;
    } else if (value.is_structured()) {
        for (Json &item : value) {
            put_folder(item, folder);
        }
    }
}

void add_name(void *names, const char *name) { static_cast<Json *>(names)->push_back(name); }

std::string run_case(const Json &the_case, const std::string &folder) {
    Json args = the_case.value("args", Json::object());
    put_folder(args, folder);
    const double tolerance = the_case.value("tolerance", 0.0);
    std::string found;
    try {
        const auto operation = operations().find(text(the_case, "op"));
        if (operation == operations().end()) {
            throw Broken("unknown operation " + text(the_case, "op"));
        }
        const puresound::Engine engine(json(args, "settings"));
        const CaseInput input(args);
        const Json result = operation->second(Context{args, engine, input});
        found = the_case.contains("expect") ? difference("result", the_case["expect"], result, tolerance)
                                            : "gave " + result.dump().substr(0, 300) + " instead of an error";
    } catch (const puresound::Error &error) {
        found = the_case.contains("error") ? difference("error", the_case["error"], Json::parse(error.json()), tolerance)
                                           : std::string("failed: ") + error.what();
    }
    if (the_case.contains("files")) {
        Json files = Json::array();
        list_folder(folder.c_str(), add_name, &files);
        if (found.empty() && files != the_case["files"]) {
            found = "files: " + files.dump() + " instead of " + the_case["files"].dump();
        }
    }
    return found;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2 || chdir(argv[1]) != 0) {
        std::fprintf(stderr, "usage: %s ROOT_OF_THE_REPOSITORY\n", argv[0]);
        return 2;
    }
    unsigned long count = 0, differences = 0;
    try {
        const Json file = Json::parse(contents("tests/parity/cases.json"));
        if (file["version"] != 1) {
            throw Broken("cases of another version");
        }
        for (const Json &the_case : file["cases"]) {
            char *folder = make_folder();
            if (folder == nullptr) {
                throw Broken("no temporary folder");
            }
            const std::string found = run_case(the_case, folder);
            remove_folder(folder);
            std::free(folder);
            count++;
            if (!found.empty()) {
                differences++;
                std::printf("%s: %s\n", text(the_case, "name").c_str(), found.c_str());
            }
        }
    } catch (const std::exception &error) {
        std::fprintf(stderr, "case %lu: %s\n", count + 1, error.what());
        return 2;
    }
    std::printf("%lu differences\nparity: %lu cases\n", differences, count);
    return differences == 0 && count > 0 ? 0 : 1;
}
