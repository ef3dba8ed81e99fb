/*
 * Pure Sound for C++17: the C interface with owners and exceptions. Header only; link libpuresound.
 *
 * Objects free themselves and can be moved, not copied. What fails throws puresound::Error. Options and records are JSON text, as in
 * the C interface: bring the JSON library that you like. What an exception in a callback of yours does is said there.
 */
#ifndef PURESOUND_HPP
#define PURESOUND_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "puresound.h"

namespace puresound {

/* What a function of the library failed with. */
class Error : public std::runtime_error {
public:
    Error(psnd_status status, const std::string &message, std::string json)
        : std::runtime_error(message), status_(status), json_(std::move(json)) {}

    psnd_status status() const noexcept { return status_; }
    /* Such as OUT_OF_RANGE. */
    std::string name() const { return text(psnd_status_name(static_cast<std::int32_t>(status_))); }
    /* Such as out_of_range. */
    std::string kind() const { return text(psnd_status_kind(static_cast<std::int32_t>(status_))); }
    /* All of it as JSON: code, name, kind, message, details, causes. */
    const std::string &json() const noexcept { return json_; }

private:
    static std::string text(const char *text) { return text == nullptr ? std::string() : std::string(text); }

    psnd_status status_;
    std::string json_;
};

namespace detail {

struct ErrorFree {
    void operator()(psnd_error *error) const noexcept { psnd_error_free(error); }
};
struct TextFree {
    void operator()(char *text) const noexcept { psnd_string_free(text); }
};
struct BytesFree {
    std::size_t size = 0;
    void operator()(std::uint8_t *data) const noexcept { psnd_bytes_free(data, size); }
};

/* Throws what a function gave. */
inline void check(psnd_status status, psnd_error *error) {
    std::unique_ptr<psnd_error, ErrorFree> owned(error);
    if (status == PSND_STATUS_OK) {
        return;
    }
    if (owned == nullptr) {
        throw Error(status, "no details", "{}");
    }
    throw Error(status, psnd_error_message(owned.get()), psnd_error_json(owned.get()));
}

/* Calls a function of the library with a place for its error. */
template <class Function, class... Arguments>
void call(Function function, Arguments... arguments) {
    psnd_error *error = nullptr;
    const psnd_status status = function(arguments..., &error);
    check(status, error);
}

/* A text that the library gave. */
inline std::string take(char *text) {
    std::unique_ptr<char, TextFree> owned(text);
    return text == nullptr ? std::string() : std::string(text);
}

/* Calls a function whose last output is a text. */
template <class Function, class... Arguments>
std::string text_of(Function function, Arguments... arguments) {
    char *text = nullptr;
    call(function, arguments..., &text);
    return take(text);
}

/* The text, or NULL when it is empty. */
inline const char *optional(const std::string &text) noexcept { return text.empty() ? nullptr : text.c_str(); }

/* Owns a handle. */
template <psnd_status (*Free)(std::uint64_t)>
class Handle {
public:
    Handle() noexcept = default;
    explicit Handle(std::uint64_t handle) noexcept : handle_(handle) {}
    Handle(Handle &&other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
    Handle &operator=(Handle &&other) noexcept {
        if (this != &other) {
            close();
            handle_ = std::exchange(other.handle_, 0);
        }
        return *this;
    }
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
    ~Handle() { close(); }

    std::uint64_t get() const noexcept { return handle_; }
    std::uint64_t *out() noexcept { return &handle_; }
    void close() noexcept {
        (void)Free(std::exchange(handle_, 0));
    }

private:
    std::uint64_t handle_ = 0;
};

} // namespace detail

/* Version of the library. */
inline std::string version() { return psnd_version(); }
/* Number of the binary interface of the library; PSND_ABI_VERSION is that of the header. */
inline std::uint32_t abi_version() { return psnd_abi_version(); }
/* All errors as a JSON list of code, name, kind. */
inline std::string error_table() { return detail::text_of(psnd_error_table); }
/* A JSON Schema by its name; all of them for an empty one. */
inline std::string schema(const std::string &name = std::string()) {
    return detail::text_of(psnd_schema, detail::optional(name));
}
/* All filters as JSON. */
inline std::string filters() { return detail::text_of(psnd_filters); }

/* Cancels calls from any thread. */
class CancelToken {
public:
    CancelToken() { detail::call(psnd_cancel_new, handle_.out()); }
    void cancel() const { detail::call(psnd_cancel_cancel, handle_.get()); }
    bool is_cancelled() const {
        bool cancelled = false;
        detail::call(psnd_cancel_is_cancelled, handle_.get(), &cancelled);
        return cancelled;
    }
    psnd_cancel get() const noexcept { return handle_.get(); }

private:
    detail::Handle<psnd_cancel_free> handle_;
};

/* How far a call is. */
struct Progress {
    std::string_view stage;
    double fraction;
    double speed;
    std::optional<double> eta_s;
};

/* Hears about progress; false cancels the call. An exception cancels it too, and comes out of the call. */
using ProgressFunction = std::function<bool(const Progress &)>;

/* Borders of a long call. */
struct Call {
    const CancelToken *cancel = nullptr;
    ProgressFunction progress;
};

namespace detail {

/* A Call as C wants it; rethrows what its callback threw. */
class CallBorder {
public:
    explicit CallBorder(const Call &call) : call_(call) {
        border_.cancel = call.cancel == nullptr ? 0 : call.cancel->get();
        if (call.progress) {
            border_.progress = &CallBorder::heard;
            border_.user_data = this;
        }
    }
    CallBorder(const CallBorder &) = delete;
    CallBorder &operator=(const CallBorder &) = delete;

    const psnd_call *get() const noexcept { return &border_; }

    /* Ends the call: throws what the callback threw, or what the library says. */
    void done(psnd_status status, psnd_error *error) const {
        if (thrown_) {
            psnd_error_free(error);
            std::rethrow_exception(thrown_);
        }
        check(status, error);
    }

private:
    static std::int32_t heard(void *user_data, const psnd_progress *progress) noexcept {
        auto *self = static_cast<CallBorder *>(user_data);
        try {
            Progress told{progress->stage, progress->fraction, progress->speed, std::nullopt};
            if (progress->eta_s >= 0.0) {
                told.eta_s = progress->eta_s;
            }
            return self->call_.progress(told) ? 0 : 1;
        } catch (...) {
            self->thrown_ = std::current_exception();
            return 1;
        }
    }

    const Call &call_;
    psnd_call border_ = PSND_CALL_INIT;
    std::exception_ptr thrown_;
};

/* Makes a long call whose last output is a text. */
template <class Function, class... Arguments>
std::string text_of_call(Function function, const Call &call, Arguments... arguments) {
    const CallBorder border(call);
    char *text = nullptr;
    psnd_error *error = nullptr;
    const psnd_status status = function(arguments..., border.get(), &text, &error);
    std::string taken = take(text);
    border.done(status, error);
    return taken;
}

/* Makes a long call whose last outputs are bytes and their number. */
template <class Function, class... Arguments>
std::vector<std::uint8_t> bytes_of_call(Function function, const Call &call, Arguments... arguments) {
    const CallBorder border(call);
    std::uint8_t *data = nullptr;
    std::size_t size = 0;
    psnd_error *error = nullptr;
    const psnd_status status = function(arguments..., border.get(), &data, &size, &error);
    const std::unique_ptr<std::uint8_t, BytesFree> owned(data, BytesFree{size});
    border.done(status, error);
    return std::vector<std::uint8_t>(data, data + size);
}

} // namespace detail

/* Audio in memory: planar 32-bit floats that do not change. */
class Audio {
public:
    explicit Audio(psnd_audio handle) noexcept : handle_(handle) {}

    static Audio from_planar(const float *const *channels, std::size_t channel_count, std::size_t frames, std::uint32_t rate_hz,
                             const std::string &layout) {
        psnd_audio audio = 0;
        detail::call(psnd_audio_from_planar, channels, channel_count, frames, rate_hz, layout.c_str(), &audio);
        return Audio(audio);
    }
    static Audio from_interleaved(const float *samples, std::size_t frames, std::uint32_t rate_hz, const std::string &layout) {
        psnd_audio audio = 0;
        detail::call(psnd_audio_from_interleaved, samples, frames, rate_hz, layout.c_str(), &audio);
        return Audio(audio);
    }

    std::uint32_t rate_hz() const {
        std::uint32_t value = 0;
        detail::call(psnd_audio_rate_hz, handle_.get(), &value);
        return value;
    }
    std::size_t channels() const {
        std::size_t value = 0;
        detail::call(psnd_audio_channels, handle_.get(), &value);
        return value;
    }
    std::size_t frames() const {
        std::size_t value = 0;
        detail::call(psnd_audio_frames, handle_.get(), &value);
        return value;
    }
    std::string layout() const { return detail::text_of(psnd_audio_layout, handle_.get()); }
    /* As many samples as there are frames; good as long as this object. */
    const float *channel(std::size_t index) const {
        const float *samples = nullptr;
        detail::call(psnd_audio_channel, handle_.get(), index, &samples);
        return samples;
    }
    /* The first frames, interleaved; returns how many. */
    std::size_t copy_interleaved(float *samples, std::size_t capacity_frames) const {
        std::size_t count = 0;
        detail::call(psnd_audio_copy_interleaved, handle_.get(), samples, capacity_frames, &count);
        return count;
    }
    psnd_audio get() const noexcept { return handle_.get(); }

private:
    detail::Handle<psnd_audio_free> handle_;
};

/* What to read. Refers to what it was made of: keep that as long as the call, for a Decoder as long as it. */
class Input {
public:
    static Input path(const std::string &path) {
        Input input;
        input.input_.path = path.c_str();
        return input;
    }
    static Input bytes(const void *data, std::size_t size) {
        Input input;
        input.input_.data = data == nullptr ? "" : data;
        input.input_.size = size;
        return input;
    }
    static Input audio(const Audio &audio) {
        Input input;
        input.input_.audio = audio.get();
        return input;
    }
    /* Functions of the host. */
    static Input reader(const psnd_reader &reader) {
        Input input;
        input.input_.reader = &reader;
        return input;
    }
    /* The one that the request names. */
    static Input in_request() {
        Input input;
        input.named_ = true;
        return input;
    }
    const psnd_input *get() const noexcept { return named_ ? nullptr : &input_; }

private:
    Input() = default;

    psnd_input input_ = PSND_INPUT_INIT;
    bool named_ = false;
};

/* What a recipe made in memory. */
class Outputs {
public:
    explicit Outputs(psnd_outputs handle) noexcept : handle_(handle) {}
    std::size_t count() const {
        std::size_t value = 0;
        detail::call(psnd_outputs_count, handle_.get(), &value);
        return value;
    }
    /* The bytes of one: good as long as this object. */
    std::pair<const std::uint8_t *, std::size_t> bytes(std::size_t index) const {
        const std::uint8_t *data = nullptr;
        std::size_t size = 0;
        detail::call(psnd_outputs_bytes, handle_.get(), index, &data, &size);
        return {data, size};
    }

private:
    detail::Handle<psnd_outputs_free> handle_;
};

/* An encoded file in memory, and what was told of it (JSON). */
struct EncodedBytes {
    std::vector<std::uint8_t> bytes;
    std::string encoded;
};

/* Hears an event as JSON, in a thread of the library. What it throws is dropped. */
using EventFunction = std::function<void(std::string_view)>;

/* A record of the log; its texts are good during the call. */
struct LogRecord {
    /* error, warn, info, debug, trace. */
    std::string_view level;
    std::string_view message;
    /* All of it: schema log_record. */
    std::string_view json;
};

/* Hears records of the log, in any thread of the engine, also several at a time. What it throws is dropped. */
using LogFunction = std::function<void(const LogRecord &)>;

/* A callback that hears events, until this is destroyed. */
class Subscription {
public:
    explicit Subscription(psnd_subscription handle) noexcept : handle_(handle) {}
    std::string stats() const { return detail::text_of(psnd_subscription_stats, handle_.get()); }
    /* Ends it: the callback does not run any more when this returns. */
    void close() noexcept { handle_.close(); }

private:
    detail::Handle<psnd_subscription_free> handle_;
};

/* Events that wait to be asked for. */
class Poller {
public:
    explicit Poller(psnd_poller handle) noexcept : handle_(handle) {}
    /* The next event as JSON; none when there is none within the time. */
    std::optional<std::string> next(std::uint32_t timeout_ms = 0) const {
        char *text = nullptr;
        detail::call(psnd_poller_next, handle_.get(), timeout_ms, &text);
        if (text == nullptr) {
            return std::nullopt;
        }
        return detail::take(text);
    }
    void close() noexcept { handle_.close(); }

private:
    detail::Handle<psnd_poller_free> handle_;
};

/* An engine. May be used by several threads at once. Empty text stands for the defaults. */
class Engine {
public:
    explicit Engine(const std::string &settings_json = std::string()) {
        detail::call(psnd_engine_new, detail::optional(settings_json), handle_.out());
    }

    std::string config() const { return detail::text_of(psnd_engine_config, handle_.get()); }
    std::string presets() const { return detail::text_of(psnd_engine_presets, handle_.get()); }
    std::string preset(const std::string &name) const {
        return detail::text_of(psnd_engine_preset, handle_.get(), name.c_str());
    }
    std::string recipe(const std::string &request_json) const {
        return detail::text_of(psnd_engine_recipe, handle_.get(), request_json.c_str());
    }
    std::string plan(const Input &input, const std::string &request_json) const {
        return detail::text_of(psnd_engine_plan, handle_.get(), input.get(), request_json.c_str());
    }
    std::string probe(const Input &input, const std::string &options_json = std::string()) const {
        return detail::text_of(psnd_engine_probe, handle_.get(), input.get(), detail::optional(options_json));
    }
    std::string tags(const Input &input, const std::string &options_json = std::string()) const {
        return detail::text_of(psnd_engine_tags, handle_.get(), input.get(), detail::optional(options_json));
    }
    std::string measure(const Input &input, const std::string &options_json = std::string(), const Call &call = Call()) const {
        return detail::text_of_call(psnd_engine_measure, call, handle_.get(), input.get(), detail::optional(options_json));
    }
    /* Loudness, features, tempo, key, pitch, sound and silence. */
    std::string analyse(const Input &input, const std::string &options_json = std::string(), const Call &call = Call()) const {
        return detail::text_of_call(psnd_engine_analyse, call, handle_.get(), input.get(), detail::optional(options_json));
    }
    /* Faults, and how delivery specifications come out: `specifications_json` is an array of their names. */
    std::string check(const Input &input, const std::string &specifications_json = std::string(),
                      const std::string &options_json = std::string(), const Call &call = Call()) const {
        return detail::text_of_call(psnd_engine_check, call, handle_.get(), input.get(), detail::optional(specifications_json),
                                    detail::optional(options_json));
    }
    /* Speech, music, speech over music, noise, silence: what it is made of, and where somebody speaks. */
    std::string classify(const Input &input, const std::string &options_json = std::string(), const Call &call = Call()) const {
        return detail::text_of_call(psnd_engine_classify, call, handle_.get(), input.get(), detail::optional(options_json));
    }
    /* What to do with it: preset, filters, channels, codec and bit rate, with reasons and as a recipe. */
    std::string recommend(const Input &input, const std::string &options_json = std::string(), const Call &call = Call()) const {
        return detail::text_of_call(psnd_engine_recommend, call, handle_.get(), input.get(), detail::optional(options_json));
    }
    /* How far a recording lies off its reference. */
    std::string compare(const Input &reference, const Input &degraded, const std::string &options_json = std::string(),
                        const Call &call = Call()) const {
        return detail::text_of_call(psnd_engine_compare, call, handle_.get(), reference.get(), degraded.get(),
                                    detail::optional(options_json));
    }
    /* The smallest and largest sample of each stretch, for hosts that draw the waveform themselves. */
    std::string waveform_peaks(const Input &input, const std::string &options_json = std::string(), const Call &call = Call()) const {
        return detail::text_of_call(psnd_engine_waveform_peaks, call, handle_.get(), input.get(), detail::optional(options_json));
    }
    /* The waveform as PNG. */
    std::vector<std::uint8_t> waveform_png(const Input &input, const std::string &options_json = std::string(),
                                           const Call &call = Call()) const {
        return detail::bytes_of_call(psnd_engine_waveform_png, call, handle_.get(), input.get(), detail::optional(options_json));
    }
    /* A spectrogram as PNG. */
    std::vector<std::uint8_t> spectrogram_png(const Input &input, const std::string &options_json = std::string(),
                                              const Call &call = Call()) const {
        return detail::bytes_of_call(psnd_engine_spectrogram_png, call, handle_.get(), input.get(), detail::optional(options_json));
    }
    /* An HTML page with all that is known of it; `json` gets the same as data (`analysis` and `check`), when it is given. */
    std::string analysis_page(const Input &input, const std::string &options_json = std::string(), const Call &call = Call(),
                              std::string *json = nullptr) const {
        const detail::CallBorder border(call);
        char *html = nullptr, *data = nullptr;
        psnd_error *error = nullptr;
        const psnd_status status = psnd_engine_analysis_page(handle_.get(), input.get(), detail::optional(options_json), border.get(),
                                                             &html, json == nullptr ? nullptr : &data, &error);
        const std::unique_ptr<char, detail::TextFree> owned(data);
        std::string page = detail::take(html);
        border.done(status, error);
        if (owned != nullptr) {
            *json = owned.get();
        }
        return page;
    }
    /* Such a page of a recording before and after it was processed, with the steps of the report when there is one. */
    std::string comparison_page(const Input &before, const Input &after, const std::string &report_json = std::string(),
                                const std::string &options_json = std::string(), const Call &call = Call()) const {
        return detail::text_of_call(psnd_engine_comparison_page, call, handle_.get(), before.get(), after.get(),
                                    detail::optional(report_json), detail::optional(options_json));
    }
    /* Runs a recipe; returns the report. */
    std::string process(const Input &input, const std::string &request_json, const Call &call = Call()) const {
        return detail::text_of_call(psnd_engine_process, call, handle_.get(), input.get(), request_json.c_str());
    }
    /* Runs a recipe whose outputs stay in memory; returns the report and them. */
    std::pair<std::string, Outputs> process_to_memory(const Input &input, const std::string &request_json,
                                                      const Call &call = Call()) const {
        const detail::CallBorder border(call);
        char *text = nullptr;
        psnd_outputs outputs = 0;
        psnd_error *error = nullptr;
        const psnd_status status = psnd_engine_process_to_memory(handle_.get(), input.get(), request_json.c_str(), border.get(),
                                                                 &text, &outputs, &error);
        Outputs owned(outputs);
        std::string report = detail::take(text);
        border.done(status, error);
        return {std::move(report), std::move(owned)};
    }
    Audio decode(const Input &input, const std::string &options_json = std::string(), const Call &call = Call()) const {
        const detail::CallBorder border(call);
        psnd_audio audio = 0;
        psnd_error *error = nullptr;
        const psnd_status status = psnd_engine_decode(handle_.get(), input.get(), detail::optional(options_json), border.get(),
                                                      &audio, &error);
        Audio owned(audio);
        border.done(status, error);
        return owned;
    }
    /* Encodes to a file; returns what was written. An empty format takes that of the extension. */
    std::string encode(const Audio &audio, const std::string &path, const std::string &format_json = std::string(),
                       const std::string &metadata_json = std::string()) const {
        return detail::text_of(psnd_engine_encode, handle_.get(), audio.get(), path.c_str(), detail::optional(format_json),
                               detail::optional(metadata_json));
    }
    EncodedBytes encode_to_memory(const Audio &audio, const std::string &format_json,
                                  const std::string &metadata_json = std::string()) const {
        std::uint8_t *data = nullptr;
        std::size_t size = 0;
        char *text = nullptr;
        detail::call(psnd_engine_encode_to_memory, handle_.get(), audio.get(), detail::optional(format_json),
                     detail::optional(metadata_json), &data, &size, &text);
        const std::unique_ptr<std::uint8_t, detail::BytesFree> owned(data, detail::BytesFree{size});
        EncodedBytes result;
        result.encoded = detail::take(text);
        result.bytes.assign(data, data + size);
        return result;
    }
    /* Calls the function for events whose topic fits the pattern, such as process.*, until the subscription is destroyed. */
    Subscription subscribe(const std::string &pattern, EventFunction function) const {
        auto owned = std::make_unique<EventFunction>(std::move(function));
        psnd_subscription subscription = 0;
        psnd_error *error = nullptr;
        // The library owns the function from here, also when the call fails.
        const psnd_status status = psnd_engine_subscribe(handle_.get(), pattern.c_str(), &Engine::heard, owned.release(),
                                                         &Engine::drop, &subscription, &error);
        detail::check(status, error);
        return Subscription(subscription);
    }
    Poller poll(const std::string &pattern) const {
        psnd_poller poller = 0;
        detail::call(psnd_engine_poll, handle_.get(), pattern.c_str(), &poller);
        return Poller(poller);
    }
    /* Publishes an event of the host's own; returns its number. */
    std::uint64_t publish(const std::string &topic, const std::string &payload_json) const {
        std::uint64_t sequence = 0;
        detail::call(psnd_engine_publish, handle_.get(), topic.c_str(), payload_json.c_str(), &sequence);
        return sequence;
    }
    /* The figures of this engine as OpenMetrics text. */
    std::string metrics() const { return detail::text_of(psnd_engine_metrics, handle_.get()); }
    /* Its health as JSON; probe is live, ready or startup, or empty for everything. */
    std::string health(const std::string &probe = std::string()) const {
        return detail::text_of(psnd_engine_health, handle_.get(), detail::optional(probe));
    }
    /* What its jobs hold of the budgets, as JSON. */
    std::string usage() const { return detail::text_of(psnd_engine_usage, handle_.get()); }
    /* Hands records of this level and above to the function from now on. */
    void log(const std::string &level, LogFunction function) const {
        auto owned = std::make_unique<LogFunction>(std::move(function));
        // The library owns the function from here, also when the call fails.
        detail::call(psnd_engine_log, handle_.get(), level.c_str(), &Engine::logged, static_cast<void *>(owned.release()),
                     &Engine::drop_log);
    }
    /* Changes how much is told to the function that listens; off ends it. */
    void log(const std::string &level) const {
        detail::call(psnd_engine_log, handle_.get(), level.c_str(), psnd_log_fn(nullptr), static_cast<void *>(nullptr),
                     psnd_destroy_fn(nullptr));
    }
    psnd_engine get() const noexcept { return handle_.get(); }

private:
    static void logged(void *user_data, const char *level, const char *message, const char *record_json) noexcept {
        try {
            (*static_cast<LogFunction *>(user_data))(LogRecord{level, message, record_json});
        } catch (...) {
            // There is nobody to tell: the caller is a thread of the library.
        }
    }
    static void drop_log(void *user_data) noexcept { delete static_cast<LogFunction *>(user_data); }
    static void heard(void *user_data, const char *event_json) noexcept {
        try {
            (*static_cast<EventFunction *>(user_data))(event_json);
        } catch (...) {
            // There is nobody to tell: the caller is a thread of the library.
        }
    }
    static void drop(void *user_data) noexcept { delete static_cast<EventFunction *>(user_data); }

    detail::Handle<psnd_engine_free> handle_;
};

/* Jobs: work that survives the program that asked for it. May be used by several threads at once. Records are JSON; `id` is the name of a job. */
class Jobs {
public:
    /* `database`: a file, or a PostgreSQL database (postgres://...); empty: in memory. */
    explicit Jobs(const Engine &engine, const std::string &database = std::string()) {
        detail::call(psnd_jobs_open, engine.get(), detail::optional(database), handle_.out());
    }

    /* Queues recordings to be processed, all or none. */
    std::string submit(const std::string &submission_json) const {
        return detail::text_of(psnd_jobs_submit, handle_.get(), submission_json.c_str());
    }
    std::string get(const std::string &id) const { return detail::text_of(psnd_jobs_get, handle_.get(), id.c_str()); }
    std::string history(const std::string &id) const {
        return detail::text_of(psnd_jobs_history, handle_.get(), id.c_str());
    }
    std::string list(const std::string &filter_json = std::string()) const {
        return detail::text_of(psnd_jobs_list, handle_.get(), detail::optional(filter_json));
    }
    std::string batch(const std::string &id) const {
        return detail::text_of(psnd_jobs_batch, handle_.get(), id.c_str());
    }
    /* "cancelled", "asked" or "over", as a JSON text. */
    std::string cancel(const std::string &id, const std::string &why = std::string()) const {
        return detail::text_of(psnd_jobs_cancel, handle_.get(), id.c_str(), detail::optional(why));
    }
    /* Makes a dead or cancelled job wait again. */
    void retry(const std::string &id) const { detail::call(psnd_jobs_retry, handle_.get(), id.c_str()); }
    /* `scope`: all, queue:NAME, kind:NAME, tenant:NAME; `gate`: open, paused, draining. */
    void set_gate(const std::string &scope, const std::string &gate) const {
        detail::call(psnd_jobs_set_gate, handle_.get(), scope.c_str(), gate.c_str());
    }
    std::string stats() const { return detail::text_of(psnd_jobs_stats, handle_.get()); }
    /* Starts threads that do jobs, until `stop` or the end of this. */
    void start(const std::string &options_json = std::string()) const {
        detail::call(psnd_jobs_start, handle_.get(), detail::optional(options_json));
    }
    /* Takes no more jobs, and waits for those that run; how many were handed back. A negative patience: as configured. */
    std::size_t stop(double patience_s = -1.0) const {
        std::size_t handed_back = 0;
        detail::call(psnd_jobs_stop, handle_.get(), patience_s, &handed_back);
        return handed_back;
    }
    /* Waits until these jobs (a JSON list of names) are over; for an empty text until nothing is left to do. Whether it came to that. */
    bool wait(const std::string &ids_json = std::string(), double timeout_s = -1.0, const Call &call = Call()) const {
        const detail::CallBorder border(call);
        bool over = false;
        psnd_error *error = nullptr;
        const psnd_status status =
            psnd_jobs_wait(handle_.get(), detail::optional(ids_json), timeout_s, border.get(), &over, &error);
        border.done(status, error);
        return over;
    }

private:
    detail::Handle<psnd_jobs_free> handle_;
};

/* Reads a recording in blocks. */
class Decoder {
public:
    Decoder(const Engine &engine, const Input &input, const std::string &options_json = std::string()) {
        detail::call(psnd_decoder_open, engine.get(), input.get(), detail::optional(options_json), handle_.out());
    }
    std::string info() const { return detail::text_of(psnd_decoder_info, handle_.get()); }
    /* Reads up to max_frames frames: fewer only at the end, 0 after it. */
    std::size_t read(float *const *channels, std::size_t channel_count, std::size_t max_frames) {
        std::size_t count = 0;
        detail::call(psnd_decoder_read, handle_.get(), channels, channel_count, max_frames, &count);
        return count;
    }
    std::size_t read_interleaved(float *samples, std::size_t max_frames) {
        std::size_t count = 0;
        detail::call(psnd_decoder_read_interleaved, handle_.get(), samples, max_frames, &count);
        return count;
    }
    void seek(std::uint64_t frame) { detail::call(psnd_decoder_seek, handle_.get(), frame); }
    std::string damage() const { return detail::text_of(psnd_decoder_damage, handle_.get()); }
    void close() noexcept { handle_.close(); }

private:
    detail::Handle<psnd_decoder_free> handle_;
};

/* Writes a recording in blocks. Destroyed before finish, it leaves nothing behind. */
class Encoder {
public:
    /* To the file path, or to memory when it is empty. */
    Encoder(const Engine &engine, const std::string &path, std::uint32_t rate_hz, const std::string &layout,
            const std::string &format_json = std::string(), const std::string &metadata_json = std::string()) {
        detail::call(psnd_encoder_new, engine.get(), detail::optional(path), rate_hz, layout.c_str(), detail::optional(format_json),
                     detail::optional(metadata_json), handle_.out());
    }
    void write(const float *const *channels, std::size_t channel_count, std::size_t frames) {
        detail::call(psnd_encoder_write, handle_.get(), channels, channel_count, frames);
    }
    void write_interleaved(const float *samples, std::size_t frames) {
        detail::call(psnd_encoder_write_interleaved, handle_.get(), samples, frames);
    }
    /* Ends the stream; the bytes are empty when it went to a file. */
    EncodedBytes finish() {
        char *text = nullptr;
        std::uint8_t *data = nullptr;
        std::size_t size = 0;
        detail::call(psnd_encoder_finish, handle_.get(), &text, &data, &size);
        const std::unique_ptr<std::uint8_t, detail::BytesFree> owned(data, detail::BytesFree{size});
        EncodedBytes result;
        result.encoded = detail::take(text);
        if (data != nullptr) {
            result.bytes.assign(data, data + size);
        }
        return result;
    }
    /* Gives up: nothing is left behind. */
    void abort() noexcept { handle_.close(); }

private:
    detail::Handle<psnd_encoder_free> handle_;
};

/* Filters in series for live audio. One thread processes; others may set parameters meanwhile. */
class Chain {
public:
    Chain(const std::string &filters_json, std::uint32_t rate_hz, const std::string &layout, std::size_t max_frames) {
        detail::call(psnd_chain_new, detail::optional(filters_json), rate_hz, layout.c_str(), max_frames, handle_.out());
    }
    /* In place. Real-time safe unless it throws. */
    void process(float *const *channels, std::size_t channel_count, std::size_t frames) {
        detail::call(psnd_chain_process, handle_.get(), channels, channel_count, frames);
    }
    void process_interleaved(float *samples, std::size_t frames) {
        detail::call(psnd_chain_process_interleaved, handle_.get(), samples, frames);
    }
    std::size_t finish(float *const *channels, std::size_t channel_count, std::size_t capacity_frames) {
        std::size_t count = 0;
        detail::call(psnd_chain_finish, handle_.get(), channels, channel_count, capacity_frames, &count);
        return count;
    }
    void set_parameter(std::size_t filter, const std::string &parameter, double value) {
        detail::call(psnd_chain_set_parameter, handle_.get(), filter, parameter.c_str(), value);
    }
    void set_glide_ms(double glide_ms) { detail::call(psnd_chain_set_glide_ms, handle_.get(), glide_ms); }
    void reset() { detail::call(psnd_chain_reset, handle_.get()); }
    std::size_t latency_frames() const {
        std::size_t value = 0;
        detail::call(psnd_chain_latency_frames, handle_.get(), &value);
        return value;
    }
    std::size_t tail_frames() const {
        std::size_t value = 0;
        detail::call(psnd_chain_tail_frames, handle_.get(), &value);
        return value;
    }
    void close() noexcept { handle_.close(); }

private:
    detail::Handle<psnd_chain_free> handle_;
};

/* Measures live audio. */
class Meter {
public:
    Meter(std::uint32_t rate_hz, const std::string &layout, const std::string &options_json = std::string()) {
        detail::call(psnd_meter_new, rate_hz, layout.c_str(), detail::optional(options_json), handle_.out());
    }
    void push(const float *const *channels, std::size_t channel_count, std::size_t frames) {
        detail::call(psnd_meter_push, handle_.get(), channels, channel_count, frames);
    }
    void push_interleaved(const float *samples, std::size_t frames) {
        detail::call(psnd_meter_push_interleaved, handle_.get(), samples, frames);
    }
    /* -infinity for silence. */
    double momentary_lufs() const { return value(psnd_meter_momentary_lufs); }
    double short_term_lufs() const { return value(psnd_meter_short_term_lufs); }
    double integrated_lufs() const { return value(psnd_meter_integrated_lufs); }
    std::uint64_t frames() const {
        std::uint64_t count = 0;
        detail::call(psnd_meter_frames, handle_.get(), &count);
        return count;
    }
    std::string summary() const { return detail::text_of(psnd_meter_summary, handle_.get()); }
    void reset() { detail::call(psnd_meter_reset, handle_.get()); }
    void close() noexcept { handle_.close(); }

private:
    template <class Function>
    double value(Function function) const {
        double number = 0.0;
        detail::call(function, handle_.get(), &number);
        return number;
    }

    detail::Handle<psnd_meter_free> handle_;
};

/* Converts live audio to another sample rate. */
class Resampler {
public:
    Resampler(std::uint32_t in_rate_hz, std::uint32_t out_rate_hz, std::size_t channels,
              const std::string &quality = std::string()) {
        detail::call(psnd_resampler_new, in_rate_hz, out_rate_hz, channels, detail::optional(quality), handle_.out());
    }
    /* The room that process wants for so many frames. */
    std::size_t max_output_frames(std::size_t frames) const {
        std::size_t count = 0;
        detail::call(psnd_resampler_max_output_frames, handle_.get(), frames, &count);
        return count;
    }
    std::size_t process(const float *const *channels, std::size_t channel_count, std::size_t frames, float *const *out_channels,
                        std::size_t capacity_frames) {
        std::size_t count = 0;
        detail::call(psnd_resampler_process, handle_.get(), channels, channel_count, frames, out_channels, capacity_frames, &count);
        return count;
    }
    std::size_t process_interleaved(const float *samples, std::size_t frames, float *out_samples, std::size_t capacity_frames) {
        std::size_t count = 0;
        detail::call(psnd_resampler_process_interleaved, handle_.get(), samples, frames, out_samples, capacity_frames, &count);
        return count;
    }
    std::size_t finish(float *const *out_channels, std::size_t channel_count, std::size_t capacity_frames) {
        std::size_t count = 0;
        detail::call(psnd_resampler_finish, handle_.get(), out_channels, channel_count, capacity_frames, &count);
        return count;
    }
    std::size_t finish_interleaved(float *out_samples, std::size_t capacity_frames) {
        std::size_t count = 0;
        detail::call(psnd_resampler_finish_interleaved, handle_.get(), out_samples, capacity_frames, &count);
        return count;
    }
    void reset() { detail::call(psnd_resampler_reset, handle_.get()); }
    void close() noexcept { handle_.close(); }

private:
    detail::Handle<psnd_resampler_free> handle_;
};

} // namespace puresound

#endif /* PURESOUND_HPP */
