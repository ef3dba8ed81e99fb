/*
 * Pure Sound: the C interface. Made from ffi/src by the program in ffi/header: edit there.
 *
 * HANDLES. Live objects (psnd_engine, psnd_chain, ...) are numbers, never pointers; 0 is none. A handle that is stale, of another
 * type, or made up gives PSND_STATUS_INVALID_HANDLE and touches nothing. Free each by its own function; freeing 0 is fine. An object
 * that is freed while another thread, or a callback, works with it goes when that call returns; its handle is not valid any more at
 * once.
 *
 * MEMORY. What a function gives as char* is freed by psnd_string_free, as uint8_t* by psnd_bytes_free, as psnd_error* by
 * psnd_error_free: once, by the caller. What it gives as const belongs to the object that it came from. Outputs (out_...) are written
 * on success only; but *out_error is always written.
 *
 * TEXT is UTF-8 and ends with a NUL. Options and records are JSON text; their schemas come from psnd_schema. Samples are 32-bit
 * floats, +/-1.0 is full scale: planar (an array of arrays, one for each channel) unless a function says interleaved. A frame is
 * one sample of each channel.
 *
 * ERRORS. Functions return a psnd_status. Those with a last argument out_error give more for who wants it: pass NULL, or the address
 * of a psnd_error*, which is then NULL or an error to be freed.
 *
 * THREADS. Every function may be called from any thread. Engines, audio, outputs, cancel tokens, subscriptions and pollers may be used
 * by several threads at once. Chains, meters, resamplers, decoders and encoders are for one at a time: a second one gets
 * PSND_STATUS_BUSY at once, and a callback that uses the object which called it PSND_STATUS_REENTRANT; nothing ever waits. (But
 * psnd_chain_set_parameter may be called while another thread processes.) Callbacks are called from threads of the library unless
 * said otherwise; they may call any function, and must not throw or jump out.
 *
 * FORK. After fork() the child must not use what its parent made; it may exec.
 */

#ifndef PURESOUND_H
#define PURESOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Version of this header; that of the library: psnd_version(). */
#define PSND_VERSION "0.1.0"

/* Binary interface of this header; that of the library: psnd_abi_version(). */
#define PSND_ABI_VERSION 0

#if defined(_WIN32) && !defined(PSND_STATIC)
#define PSND_API __declspec(dllimport)
#elif defined(__GNUC__) && __GNUC__ >= 4
#define PSND_API __attribute__((visibility("default")))
#else
#define PSND_API
#endif

/* Empty structs to fill in: psnd_input input = PSND_INPUT_INIT; input.path = "talk.mp3"; */
#define PSND_INPUT_INIT { sizeof(psnd_input), NULL, NULL, 0, 0, NULL }
#define PSND_READER_INIT { sizeof(psnd_reader), NULL, NULL, 0, NULL, NULL }
#define PSND_CALL_INIT { sizeof(psnd_call), 0, NULL, NULL, NULL }

/**
 * What a function came to. The numbers are stable: never reused, never renumbered. New ones may be added: treat those that you
 * do not know by their kind ('psnd_status_kind').
 */
enum psnd_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Done.
   */
  PSND_STATUS_OK = 0,
  /**
   * The bytes are not audio in any known format.
   */
  PSND_STATUS_NOT_AUDIO = 100,
  /**
   * The input holds no audio.
   */
  PSND_STATUS_EMPTY = 101,
  /**
   * The file is damaged beyond what can be decoded around.
   */
  PSND_STATUS_MALFORMED = 102,
  /**
   * Nothing here can read or write that.
   */
  PSND_STATUS_UNSUPPORTED = 200,
  /**
   * A number outside its range.
   */
  PSND_STATUS_OUT_OF_RANGE = 300,
  /**
   * A value that is not one of the allowed ones, NULL where something is needed, text that is not UTF-8 or not JSON.
   */
  PSND_STATUS_INVALID_VALUE = 301,
  /**
   * A name that does not exist.
   */
  PSND_STATUS_UNKNOWN_NAME = 302,
  /**
   * A document with mistakes in it; the details list all of them.
   */
  PSND_STATUS_INVALID = 303,
  /**
   * A handle that is not one, of another type, or freed.
   */
  PSND_STATUS_INVALID_HANDLE = 304,
  /**
   * A limit was reached.
   */
  PSND_STATUS_LIMIT_EXCEEDED = 400,
  /**
   * The caller cancelled.
   */
  PSND_STATUS_CANCELLED = 500,
  /**
   * Reading or writing failed.
   */
  PSND_STATUS_IO = 600,
  /**
   * The path does not exist.
   */
  PSND_STATUS_NOT_FOUND = 601,
  /**
   * Not allowed.
   */
  PSND_STATUS_DENIED = 700,
  /**
   * The request contradicts itself or the state of things.
   */
  PSND_STATUS_CONFLICT = 800,
  /**
   * A wait that could only end after itself.
   */
  PSND_STATUS_WOULD_DEADLOCK = 801,
  /**
   * A callback used the object that calls it.
   */
  PSND_STATUS_REENTRANT = 803,
  /**
   * Another thread uses the object.
   */
  PSND_STATUS_BUSY = 804,
  /**
   * Something needed is gone.
   */
  PSND_STATUS_UNAVAILABLE = 900,
  /**
   * A bounded queue or budget stayed full.
   */
  PSND_STATUS_FULL = 901,
  /**
   * The object was finished or shut down.
   */
  PSND_STATUS_CLOSED = 902,
  /**
   * A bug in this library.
   */
  PSND_STATUS_INTERNAL = 1000,
  /**
   * A bug in this library that was caught at its border. The object that was used can only be freed.
   */
  PSND_STATUS_PANIC = 1001,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum psnd_status psnd_status;
#else
typedef int32_t psnd_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What went wrong, with all data. Belongs to the caller, who frees it once by 'psnd_error_free'.
 */
typedef struct psnd_error psnd_error;

/**
 * Audio in memory: planar 32-bit floats that do not change. May be used by several threads.
 */
typedef uint64_t psnd_audio;

/**
 * Filters in series for live audio. One thread processes; others may set parameters meanwhile.
 */
typedef uint64_t psnd_chain;

/**
 * Measures loudness (ITU-R BS.1770-5, EBU R 128), true peak and levels. One thread at a time.
 */
typedef uint64_t psnd_meter;

/**
 * Converts a stream from one sample rate to another. One thread at a time.
 */
typedef uint64_t psnd_resampler;

/**
 * Cancels running calls from any thread.
 */
typedef uint64_t psnd_cancel;

/**
 * The files that 'psnd_engine_process_to_memory' made.
 */
typedef uint64_t psnd_outputs;

/**
 * An engine. May be used by several threads at once.
 */
typedef uint64_t psnd_engine;

/**
 * Reads the next bytes of an input of the host: at most 'size' to 'buffer', their number to '*out_read', 0 at the end. Gives 0, or
 * an error number of the system ('errno') when it fails. Called by one thread at a time, not always the same.
 */
typedef int32_t (*psnd_read_fn)(void *user_data, uint8_t *buffer, size_t size, size_t *out_read);

/**
 * Goes to the byte 'position' of an input of the host, counted from its start. Gives 0, or an error number of the system.
 */
typedef int32_t (*psnd_seek_fn)(void *user_data, uint64_t position);

/**
 * Called exactly once with the 'user_data' that was given beside it, when the library is done with it: also when the call that
 * took it failed. May be called from any thread, and may call any function of this library.
 */
typedef void (*psnd_destroy_fn)(void *user_data);

/**
 * An input that the host reads itself. Fill it in from 'PSND_READER_INIT'.
 */
typedef struct {
  /**
   * 'sizeof(psnd_reader)'.
   */
  size_t struct_size;
  /**
   * Reads.
   */
  psnd_read_fn read;
  /**
   * Seeks. NULL for what cannot, such as a pipe: it is copied to memory or a temporary file first.
   */
  psnd_seek_fn seek;
  /**
   * Number of bytes, when it can be sought.
   */
  uint64_t size;
  /**
   * Given to the functions.
   */
  void *user_data;
  /**
   * Called when the library is done with 'user_data'.
   */
  psnd_destroy_fn destroy;
} psnd_reader;

/**
 * What to read: one of 'path', 'data', 'audio', 'reader'. Fill it in from 'PSND_INPUT_INIT'.
 */
typedef struct {
  /**
   * 'sizeof(psnd_input)'.
   */
  size_t struct_size;
  /**
   * A file.
   */
  const char *path;
  /**
   * The bytes of a file. Borrowed: during the call, or by a decoder until it is freed.
   */
  const void *data;
  /**
   * How many.
   */
  size_t size;
  /**
   * Audio.
   */
  psnd_audio audio;
  /**
   * The host's own input.
   */
  const psnd_reader *reader;
} psnd_input;

/**
 * How far a call is. Belongs to the library; valid during the callback.
 */
typedef struct {
  /**
   * 'sizeof(psnd_progress)' of the library.
   */
  size_t struct_size;
  /**
   * What is being done: 'analyse', 'solve', 'encode', 'verify', 'publish'.
   */
  const char *stage;
  /**
   * Share of the whole call that is done, 0 to 1; never falls.
   */
  double fraction;
  /**
   * Seconds of audio handled for each second of time, in this stage.
   */
  double speed;
  /**
   * Estimated seconds until the end; negative while it is not known.
   */
  double eta_s;
} psnd_progress;

/**
 * Hears how far a call is, at most about 20 times a second; 0 to go on, anything else cancels
 * the call, and its token. Called from threads of the
 * call, one at a time. May call any function of this library.
 */
typedef int32_t (*psnd_progress_fn)(void *user_data, const psnd_progress *progress);

/**
 * Borders of a long call with its caller; NULL in its place for none. Fill it in from 'PSND_CALL_INIT'.
 */
typedef struct {
  /**
   * 'sizeof(psnd_call)'.
   */
  size_t struct_size;
  /**
   * Cancels the call; 0 for none.
   */
  psnd_cancel cancel;
  /**
   * Hears about progress, or NULL.
   */
  psnd_progress_fn progress;
  /**
   * Given to 'progress'.
   */
  void *user_data;
  /**
   * Called when the library is done with 'user_data': before the call returns.
   */
  psnd_destroy_fn destroy;
} psnd_call;

/**
 * Hears an event, as JSON: an object with 'type': 'event' (then 'topic', 'sequence', 'time_ms', 'payload', ...), 'lagged' when it was
 * too slow and lost some, or 'gap'. Called from a thread of the library, one at a time. May call any function of this library, also
 * free its own subscription; then this call is the last.
 */
typedef void (*psnd_event_fn)(void *user_data, const char *event_json);

/**
 * A callback that hears events.
 */
typedef uint64_t psnd_subscription;

/**
 * Events that wait to be asked for. May be used by several threads; each event goes to one of them.
 */
typedef uint64_t psnd_poller;

/**
 * Jobs of a program, and threads that do them. May be used by several threads at once.
 */
typedef uint64_t psnd_jobs;

/**
 * Hears a record of the log: 'level' is 'error', 'warn', 'info', 'debug' or 'trace'; 'record_json' is the whole record, see the schema
 * 'log_record'. The texts are valid during the callback. Called from any thread of the engine, also several at a time. May call any
 * function of this library; what is logged because of that is dropped.
 */
typedef void (*psnd_log_fn)(void *user_data, const char *level, const char *message, const char *record_json);

/**
 * Reads a recording in blocks. One thread at a time.
 */
typedef uint64_t psnd_decoder;

/**
 * Writes a recording in blocks. One thread at a time.
 */
typedef uint64_t psnd_encoder;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of a status, such as 'OUT_OF_RANGE'; 'OK' for 0 and NULL for a number that is none. Never freed.
 */
PSND_API const char *psnd_status_name(int32_t status);

/**
 * The class of a status: 'input', 'unsupported', 'out_of_range', 'limit', 'cancelled', 'io', 'denied', 'conflict',
 * 'unavailable', 'internal'; 'ok' for 0 and NULL for a number that is none. Never freed.
 */
PSND_API const char *psnd_status_kind(int32_t status);

/**
 * The status that the function returned; 'PSND_STATUS_OK' for NULL.
 *
 * The caller sees to it:
 * 'error' is NULL or an error that was not freed.
 */
PSND_API psnd_status psnd_error_status(const psnd_error *error);

/**
 * The name of the status, such as 'OUT_OF_RANGE'. Valid until the error is freed; NULL for NULL.
 *
 * The caller sees to it:
 * 'error' is NULL or an error that was not freed.
 */
PSND_API const char *psnd_error_name(const psnd_error *error);

/**
 * The class of the status, such as 'out_of_range'. Valid until the error is freed; NULL for NULL.
 *
 * The caller sees to it:
 * 'error' is NULL or an error that was not freed.
 */
PSND_API const char *psnd_error_kind(const psnd_error *error);

/**
 * The error in a sentence, for people. Valid until the error is freed; NULL for NULL.
 *
 * The caller sees to it:
 * 'error' is NULL or an error that was not freed.
 */
PSND_API const char *psnd_error_message(const psnd_error *error);

/**
 * The error as JSON: 'code', 'name', 'kind', 'message', 'details' (the data: 'name', 'value', 'min', 'max', 'path', 'suggestion',
 * 'problems', ...), 'causes'. Valid until the error is freed; NULL for NULL.
 *
 * The caller sees to it:
 * 'error' is NULL or an error that was not freed.
 */
PSND_API
const char *psnd_error_json(const psnd_error *error);

/**
 * Frees an error. NULL is fine.
 *
 * The caller sees to it:
 * 'error' is NULL or an error that was not freed.
 */
PSND_API void psnd_error_free(psnd_error *error);

/**
 * The table of all errors as JSON: a list of 'code', 'name', 'kind'. Free the text by 'psnd_string_free'.
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_error_table(char **out_json, psnd_error **out_error);

/**
 * Frees a text that a function of this library gave. NULL is fine.
 *
 * The caller sees to it:
 * 'text' is NULL or such a text, not freed before.
 */
PSND_API void psnd_string_free(char *text);

/**
 * Frees bytes that a function of this library gave, with the size that it told. NULL is fine.
 *
 * The caller sees to it:
 * 'data' and 'size' are NULL and anything, or from one call, not freed before.
 */
PSND_API void psnd_bytes_free(uint8_t *data, size_t size);

/**
 * Version of the library, such as '0.1.0': that of the header is 'PSND_VERSION'. Never freed.
 */
PSND_API const char *psnd_version(void);

/**
 * Number of the binary interface of the library: that of the header is 'PSND_ABI_VERSION'. When they differ, do not go on.
 */
PSND_API
uint32_t psnd_abi_version(void);

/**
 * All filters with their parameters (unit, range, default, meaning) as a JSON list, see the schema 'filter_info'. Free the text by
 * 'psnd_string_free'.
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_filters(char **out_json,
                         psnd_error **out_error);

/**
 * Copies 'frames' frames from 'channels': 'channel_count' arrays of floats, +/-1.0 is full scale. 'layout' is a name such as
 * 'stereo', '5.1' or a count such as '6'.
 *
 * The caller sees to it:
 * 'channels' is readable as said; 'layout' ends with a NUL; 'out_audio' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_audio_from_planar(const float *const *channels,
                                   size_t channel_count,
                                   size_t frames,
                                   uint32_t rate_hz,
                                   const char *layout,
                                   psnd_audio *out_audio,
                                   psnd_error **out_error);

/**
 * As 'psnd_audio_from_planar' for interleaved samples: 'frames' times the number of channels of 'layout'.
 *
 * The caller sees to it:
 * 'samples' is readable for that many floats; 'layout' ends with a NUL; 'out_audio' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_audio_from_interleaved(const float *samples,
                                        size_t frames,
                                        uint32_t rate_hz,
                                        const char *layout,
                                        psnd_audio *out_audio,
                                        psnd_error **out_error);

/**
 * Frames per second.
 *
 * The caller sees to it:
 * 'out_rate_hz' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_audio_rate_hz(psnd_audio audio, uint32_t *out_rate_hz, psnd_error **out_error);

/**
 * Number of channels.
 *
 * The caller sees to it:
 * 'out_channels' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_audio_channels(psnd_audio audio, size_t *out_channels, psnd_error **out_error);

/**
 * Number of frames.
 *
 * The caller sees to it:
 * 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_audio_frames(psnd_audio audio, size_t *out_frames, psnd_error **out_error);

/**
 * The name of the channel layout, such as 'stereo'. Free it by 'psnd_string_free'.
 *
 * The caller sees to it:
 * 'out_layout' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_audio_layout(psnd_audio audio, char **out_layout, psnd_error **out_error);

/**
 * The samples of one channel, from 0, as many as there are frames. Borrowed: valid until the audio is freed, not to be written.
 *
 * The caller sees to it:
 * 'out_samples' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_audio_channel(psnd_audio audio,
                               size_t channel,
                               const float **out_samples,
                               psnd_error **out_error);

/**
 * Copies the first frames, interleaved, to 'samples': as many as there are, at most 'capacity_frames'. '*out_frames' is how many.
 *
 * The caller sees to it:
 * 'samples' is writable for 'capacity_frames' times the channels; 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_audio_copy_interleaved(psnd_audio audio,
                                        float *samples,
                                        size_t capacity_frames,
                                        size_t *out_frames,
                                        psnd_error **out_error);

/**
 * Frees audio. 0 is fine. Pointers to its channels are not valid any more.
 */
PSND_API psnd_status psnd_audio_free(psnd_audio audio);

/**
 * Makes a chain. 'filters_json' is a list of filters as in recipes: '[{"type": "highpass", "cutoff_hz": 80}, "limiter"]'; NULL or
 * an empty list passes everything through. 'layout' is a name such as 'stereo', '5.1' or a count such as '6'. Blocks of up to
 * 'max_frames' frames, 1 to 16777216, are best; larger ones are cut.
 *
 * Filters that work on whole files, or change rate or channels, are refused: recipes are for those. Allocates; not for an audio
 * thread.
 *
 * The caller sees to it:
 * Text is NULL or ends with a NUL; 'out_chain' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_chain_new(const char *filters_json,
                           uint32_t rate_hz,
                           const char *layout,
                           size_t max_frames,
                           psnd_chain *out_chain,
                           psnd_error **out_error);

/**
 * Sends 'frames' frames through the filters, in place: 'channels' has 'channel_count' arrays of 'frames' floats, +/-1.0 is full
 * scale. Any number of frames gives the same samples as any other division into blocks. Samples that are not finite become 0.
 *
 * Real-time safe: does not allocate, lock, log or call the system, unless it fails.
 *
 * The caller sees to it:
 * 'channels' has 'channel_count' arrays of 'frames' floats, writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_chain_process(psnd_chain chain,
                               float *const *channels,
                               size_t channel_count,
                               size_t frames,
                               psnd_error **out_error);

/**
 * As 'psnd_chain_process' for interleaved samples: 'frames' times the number of channels.
 *
 * Real-time safe, as 'psnd_chain_process'.
 *
 * The caller sees to it:
 * 'samples' is writable for that many floats; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_chain_process_interleaved(psnd_chain chain,
                                           float *samples,
                                           size_t frames,
                                           psnd_error **out_error);

/**
 * Sets a parameter of the filter at 'filter' in the list, from 0, from the start of the next block that is processed. It glides
 * to 'value' within 20 ms, or what 'psnd_chain_set_glide_ms' said; before the first frame it is there at once. From any thread,
 * also while another processes, which is not held up. Up to 256 values may wait.
 *
 * The caller sees to it:
 * 'parameter' ends with a NUL; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_chain_set_parameter(psnd_chain chain,
                                     size_t filter,
                                     const char *parameter,
                                     double value,
                                     psnd_error **out_error);

/**
 * Sets the time over which parameters come to their values, 0 to 1000 ms, for changes from now on. Not while another thread
 * processes.
 *
 * The caller sees to it:
 * 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_chain_set_glide_ms(psnd_chain chain,
                                    double glide_ms,
                                    psnd_error **out_error);

/**
 * Forgets all signal: the chain is as new, with the parameters of now. Real-time safe. Not while another thread processes.
 *
 * The caller sees to it:
 * 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_chain_reset(psnd_chain chain,
                             psnd_error **out_error);

/**
 * Frames by which the output is behind the input.
 *
 * The caller sees to it:
 * 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_chain_latency_frames(psnd_chain chain, size_t *out_frames, psnd_error **out_error);

/**
 * Frames of sound that may follow the end of the input.
 *
 * The caller sees to it:
 * 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_chain_tail_frames(psnd_chain chain, size_t *out_frames, psnd_error **out_error);

/**
 * After the last block: gives frames that filters held back, at most 'capacity_frames' at once; 0 when there are no more. What is
 * still on its way through the latency is had by processing as many frames of silence before.
 *
 * The caller sees to it:
 * 'channels' has 'channel_count' arrays of 'capacity_frames' floats, writable; 'out_frames' is writable; 'out_error' is NULL or
 * writable.
 */
PSND_API
psnd_status psnd_chain_finish(psnd_chain chain,
                              float *const *channels,
                              size_t channel_count,
                              size_t capacity_frames,
                              size_t *out_frames,
                              psnd_error **out_error);

/**
 * Frees a chain. 0 is fine.
 */
PSND_API psnd_status psnd_chain_free(psnd_chain chain);

/**
 * Makes a meter. 'layout' is a name such as 'stereo', '5.1' or a count: channels weigh by their place. 'options_json': an object
 * with 'true_peak' (default true), 'range' (default true), 'dual_mono' (default false); NULL for the defaults.
 *
 * The caller sees to it:
 * Text is NULL or ends with a NUL; 'out_meter' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_meter_new(uint32_t rate_hz,
                           const char *layout,
                           const char *options_json,
                           psnd_meter *out_meter,
                           psnd_error **out_error);

/**
 * Adds 'frames' frames: 'channels' has 'channel_count' arrays of 'frames' floats. Allocates now and then as time goes on.
 *
 * The caller sees to it:
 * 'channels' is readable as said; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_meter_push(psnd_meter meter,
                            const float *const *channels,
                            size_t channel_count,
                            size_t frames,
                            psnd_error **out_error);

/**
 * As 'psnd_meter_push' for interleaved samples: 'frames' times the number of channels.
 *
 * The caller sees to it:
 * 'samples' is readable for that many floats; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_meter_push_interleaved(psnd_meter meter,
                                        const float *samples,
                                        size_t frames,
                                        psnd_error **out_error);

/**
 * Loudness of the last 400 ms in LUFS, not gated; '-INFINITY' for silence.
 *
 * The caller sees to it:
 * 'out_lufs' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_meter_momentary_lufs(psnd_meter meter, double *out_lufs, psnd_error **out_error);

/**
 * Loudness of the last 3 s in LUFS, not gated; '-INFINITY' for silence.
 *
 * The caller sees to it:
 * 'out_lufs' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_meter_short_term_lufs(psnd_meter meter, double *out_lufs, psnd_error **out_error);

/**
 * Integrated loudness so far in LUFS; '-INFINITY' for silence. Takes time in proportion to what was measured.
 *
 * The caller sees to it:
 * 'out_lufs' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_meter_integrated_lufs(psnd_meter meter, double *out_lufs, psnd_error **out_error);

/**
 * Frames measured so far.
 *
 * The caller sees to it:
 * 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_meter_frames(psnd_meter meter, uint64_t *out_frames, psnd_error **out_error);

/**
 * All results so far as JSON, see the schema 'loudness': null for silence and for what was not measured.
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_meter_summary(psnd_meter meter, char **out_json, psnd_error **out_error);

/**
 * Forgets what was measured.
 *
 * The caller sees to it:
 * 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_meter_reset(psnd_meter meter, psnd_error **out_error);

/**
 * Frees a meter. 0 is fine.
 */
PSND_API psnd_status psnd_meter_free(psnd_meter meter);

/**
 * Makes a resampler for 'channels' channels. 'quality' is 'fast', 'good' or 'best'; NULL is 'good'. The stream is not delayed, and
 * in all 'round(frames * out_rate_hz / in_rate_hz)' frames come.
 *
 * The caller sees to it:
 * 'quality' is NULL or ends with a NUL; 'out_resampler' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_resampler_new(uint32_t in_rate_hz,
                               uint32_t out_rate_hz,
                               size_t channels,
                               const char *quality,
                               psnd_resampler *out_resampler,
                               psnd_error **out_error);

/**
 * Most frames that 'psnd_resampler_process' of 'frames' frames can give: the room that it wants.
 *
 * The caller sees to it:
 * 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_resampler_max_output_frames(psnd_resampler resampler,
                                             size_t frames,
                                             size_t *out_frames,
                                             psnd_error **out_error);

/**
 * Converts 'frames' frames: 'channels' has 'channel_count' arrays of 'frames' floats, 'out_channels' as many of 'capacity_frames',
 * at least what 'psnd_resampler_max_output_frames' says. '*out_frames' is how many came, at first none; they come in bursts.
 *
 * The caller sees to it:
 * The arrays are readable and writable as said and do not overlap; 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_resampler_process(psnd_resampler resampler,
                                   const float *const *channels,
                                   size_t channel_count,
                                   size_t frames,
                                   float *const *out_channels,
                                   size_t capacity_frames,
                                   size_t *out_frames,
                                   psnd_error **out_error);

/**
 * As 'psnd_resampler_process' for interleaved samples.
 *
 * The caller sees to it:
 * The arrays are readable and writable as said and do not overlap; 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_resampler_process_interleaved(psnd_resampler resampler,
                                               const float *samples,
                                               size_t frames,
                                               float *out_samples,
                                               size_t capacity_frames,
                                               size_t *out_frames,
                                               psnd_error **out_error);

/**
 * After the last block: gives the frames that are left, at most 'capacity_frames' at once; 0 when there are no more. After it only
 * 'psnd_resampler_reset' makes sense.
 *
 * The caller sees to it:
 * 'out_channels' has 'channel_count' arrays of 'capacity_frames' floats, writable; 'out_frames' is writable; 'out_error' is NULL
 * or writable.
 */
PSND_API
psnd_status psnd_resampler_finish(psnd_resampler resampler,
                                  float *const *out_channels,
                                  size_t channel_count,
                                  size_t capacity_frames,
                                  size_t *out_frames,
                                  psnd_error **out_error);

/**
 * As 'psnd_resampler_finish' for interleaved samples.
 *
 * The caller sees to it:
 * 'out_samples' is writable for 'capacity_frames' frames; 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_resampler_finish_interleaved(psnd_resampler resampler,
                                              float *out_samples,
                                              size_t capacity_frames,
                                              size_t *out_frames,
                                              psnd_error **out_error);

/**
 * Forgets the signal: for another stream.
 *
 * The caller sees to it:
 * 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_resampler_reset(psnd_resampler resampler, psnd_error **out_error);

/**
 * Frees a resampler. 0 is fine.
 */
PSND_API psnd_status psnd_resampler_free(psnd_resampler resampler);

/**
 * Makes a token that cancels the calls it is given to.
 *
 * The caller sees to it:
 * 'out_cancel' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_cancel_new(psnd_cancel *out_cancel, psnd_error **out_error);

/**
 * Asks the calls of this token to stop: those that run do within one block and give 'PSND_STATUS_CANCELLED', and so do those to
 * come.
 *
 * The caller sees to it:
 * 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_cancel_cancel(psnd_cancel cancel,
                               psnd_error **out_error);

/**
 * Whether it was asked.
 *
 * The caller sees to it:
 * 'out_cancelled' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_cancel_is_cancelled(psnd_cancel cancel, bool *out_cancelled, psnd_error **out_error);

/**
 * Frees a token. Calls that it was given to are not touched. 0 is fine.
 */
PSND_API psnd_status psnd_cancel_free(psnd_cancel cancel);

/**
 * How many there are.
 *
 * The caller sees to it:
 * 'out_count' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_outputs_count(psnd_outputs outputs, size_t *out_count, psnd_error **out_error);

/**
 * The bytes of one, from 0, in the order of the request. Borrowed: valid until the outputs are freed, not to be written.
 *
 * The caller sees to it:
 * 'out_data' and 'out_size' are writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_outputs_bytes(psnd_outputs outputs,
                               size_t index,
                               const uint8_t **out_data,
                               size_t *out_size,
                               psnd_error **out_error);

/**
 * Frees them. 0 is fine. Pointers to their bytes are not valid any more.
 */
PSND_API psnd_status psnd_outputs_free(psnd_outputs outputs);

/**
 * Makes an engine. 'settings_json' is an object shaped like a configuration file, such as '{"engine": {"threads": 2}}', see the
 * schema 'settings'; NULL for the defaults.
 *
 * The caller sees to it:
 * 'settings_json' is NULL or ends with a NUL; 'out_engine' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_new(const char *settings_json,
                            psnd_engine *out_engine,
                            psnd_error **out_error);

/**
 * Frees an engine. Calls that run go on and keep what they need; subscriptions get no more events. 0 is fine.
 */
PSND_API psnd_status psnd_engine_free(psnd_engine engine);

/**
 * The settings that hold, as JSON.
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_engine_config(psnd_engine engine, char **out_json, psnd_error **out_error);

/**
 * All presets as a JSON list, see the schema 'preset'.
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_engine_presets(psnd_engine engine, char **out_json, psnd_error **out_error);

/**
 * One preset as JSON, see the schema 'preset'.
 *
 * The caller sees to it:
 * 'name' ends with a NUL; 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_engine_preset(psnd_engine engine, const char *name, char **out_json, psnd_error **out_error);

/**
 * The recipe that a request asks for, as JSON: presets and short forms written out, everything checked.
 *
 * The caller sees to it:
 * 'request_json' ends with a NUL; 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_recipe(psnd_engine engine,
                               const char *request_json,
                               char **out_json,
                               psnd_error **out_error);

/**
 * Tells what 'psnd_engine_process' would do and why, as JSON, see the schema 'plan'. 'input' may be NULL when the request names
 * it.
 *
 * The caller sees to it:
 * 'input' is NULL or valid; 'request_json' ends with a NUL; 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_plan(psnd_engine engine,
                             const psnd_input *input,
                             const char *request_json,
                             char **out_json,
                             psnd_error **out_error);

/**
 * Tells what an input is, as JSON, see the schema 'media_info'. 'options_json': read options, NULL for the defaults.
 *
 * The caller sees to it:
 * 'input' is valid; text is NULL or ends with a NUL; 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_probe(psnd_engine engine,
                              const psnd_input *input,
                              const char *options_json,
                              char **out_json,
                              psnd_error **out_error);

/**
 * Reads tags, pictures and chapters, as JSON, see the schema 'metadata'.
 *
 * The caller sees to it:
 * 'input' is valid; text is NULL or ends with a NUL; 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_tags(psnd_engine engine,
                             const psnd_input *input,
                             const char *options_json,
                             char **out_json,
                             psnd_error **out_error);

/**
 * Measures loudness, true peak and levels of a whole input, as JSON, see the schema 'loudness'.
 *
 * The caller sees to it:
 * 'input' and 'call' are valid, 'call' may be NULL; text is NULL or ends with a NUL; 'out_json' is writable; 'out_error' is NULL or
 * writable.
 */
PSND_API
psnd_status psnd_engine_measure(psnd_engine engine,
                                const psnd_input *input,
                                const char *options_json,
                                const psnd_call *call,
                                char **out_json,
                                psnd_error **out_error);

/**
 * Tells what a whole input is like: loudness, features, tempo, key, pitch, sound and silence; as JSON, see the schema 'analysis'.
 * 'options_json': see the schema 'analyse_options', NULL for the defaults; '{"analysis": {"series": true}}' gives the features over time as
 * well.
 *
 * The caller sees to it:
 * As 'psnd_engine_measure'.
 */
PSND_API
psnd_status psnd_engine_analyse(psnd_engine engine,
                                const psnd_input *input,
                                const char *options_json,
                                const psnd_call *call,
                                char **out_json,
                                psnd_error **out_error);

/**
 * Runs a recipe: reads, filters, levels, encodes, verifies. Outputs appear whole or not at all. 'request_json' is a recipe, see the
 * schema 'request': '{"preset": "podcast", "output": "talk.opus"}'. 'input' may be NULL when the request names it. '*out_report' is
 * what was done, as JSON, see the schema 'report'; NULL when it is not wanted.
 *
 * The caller sees to it:
 * 'input' and 'call' are NULL or valid; 'request_json' ends with a NUL; 'out_report' and 'out_error' are NULL or writable.
 */
PSND_API
psnd_status psnd_engine_process(psnd_engine engine,
                                const psnd_input *input,
                                const char *request_json,
                                const psnd_call *call,
                                char **out_report,
                                psnd_error **out_error);

/**
 * As 'psnd_engine_process', but the outputs come back in memory: they have a format and no path,
 * '{"outputs": [{"format": {"format": "opus"}}]}'.
 *
 * The caller sees to it:
 * As 'psnd_engine_process'; 'out_outputs' is writable.
 */
PSND_API
psnd_status psnd_engine_process_to_memory(psnd_engine engine,
                                          const psnd_input *input,
                                          const char *request_json,
                                          const psnd_call *call,
                                          char **out_report,
                                          psnd_outputs *out_outputs,
                                          psnd_error **out_error);

/**
 * Decodes a whole input into memory.
 *
 * The caller sees to it:
 * 'input' and 'call' are valid, 'call' may be NULL; text is NULL or ends with a NUL; 'out_audio' is writable; 'out_error' is NULL or
 * writable.
 */
PSND_API
psnd_status psnd_engine_decode(psnd_engine engine,
                               const psnd_input *input,
                               const char *options_json,
                               const psnd_call *call,
                               psnd_audio *out_audio,
                               psnd_error **out_error);

/**
 * Encodes audio to a file, which appears whole or not at all. 'format_json' is a format with its settings, see the schema 'format';
 * NULL takes that of the extension. 'metadata_json': see the schema 'metadata'; NULL for none. '*out_json' tells what was written,
 * see the schema 'encoded'; NULL when it is not wanted.
 *
 * The caller sees to it:
 * Text is NULL or ends with a NUL; 'out_json' and 'out_error' are NULL or writable.
 */
PSND_API
psnd_status psnd_engine_encode(psnd_engine engine,
                               psnd_audio audio,
                               const char *path,
                               const char *format_json,
                               const char *metadata_json,
                               char **out_json,
                               psnd_error **out_error);

/**
 * As 'psnd_engine_encode', to memory: the format must be said. Free the bytes by 'psnd_bytes_free'.
 *
 * The caller sees to it:
 * Text is NULL or ends with a NUL; 'out_data' and 'out_size' are writable; 'out_json' and 'out_error' are NULL or writable.
 */
PSND_API
psnd_status psnd_engine_encode_to_memory(psnd_engine engine,
                                         psnd_audio audio,
                                         const char *format_json,
                                         const char *metadata_json,
                                         uint8_t **out_data,
                                         size_t *out_size,
                                         char **out_json,
                                         psnd_error **out_error);

/**
 * The JSON Schema called 'name' ('request', 'recipe', 'report', 'plan', 'format', 'settings', ...), or for NULL an object with all of
 * them by name.
 *
 * The caller sees to it:
 * 'name' is NULL or ends with a NUL; 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_schema(const char *name,
                        char **out_json,
                        psnd_error **out_error);

/**
 * Looks at a whole input for faults, and holds it against delivery specifications: 'specifications_json' is an array of their names,
 * '["acx"]'; '["all"]' is every one, NULL none. The result is JSON, see the schema 'check'.
 *
 * The caller sees to it:
 * 'input' and 'call' are valid, 'call' may be NULL; texts are NULL or end with a NUL; 'out_json' is writable; 'out_error' is NULL or
 * writable.
 */
PSND_API
psnd_status psnd_engine_check(psnd_engine engine,
                              const psnd_input *input,
                              const char *specifications_json,
                              const char *options_json,
                              const psnd_call *call,
                              char **out_json,
                              psnd_error **out_error);

/**
 * Tells speech, music, speech over music, noise and silence in an input apart, and where somebody speaks. The result is JSON, see the schema
 * 'content'. 'options_json': see the schema 'classify_options', NULL for the defaults.
 *
 * The caller sees to it:
 * As 'psnd_engine_measure'.
 */
PSND_API
psnd_status psnd_engine_classify(psnd_engine engine,
                                 const psnd_input *input,
                                 const char *options_json,
                                 const psnd_call *call,
                                 char **out_json,
                                 psnd_error **out_error);

/**
 * Tells what to do with an input: a preset, filters, channels, codec and bit rate, each with its reason and what was measured, and all of
 * it as a recipe without outputs, in the field 'recipe'. The whole input is looked at. The result is JSON, see the schema
 * 'recommendation'. 'options_json': see the schema 'recommend_options', NULL for the defaults; '{"content": "speech"}' says what it is.
 *
 * The caller sees to it:
 * As 'psnd_engine_measure'.
 */
PSND_API
psnd_status psnd_engine_recommend(psnd_engine engine,
                                  const psnd_input *input,
                                  const char *options_json,
                                  const psnd_call *call,
                                  char **out_json,
                                  psnd_error **out_error);

/**
 * Tells how far a recording lies off its reference: signal to noise ratios, distance of the spectra, and what a listener would notice.
 * The result is JSON, see the schema 'comparison'. 'options_json': see the schema 'compare_options', NULL for the defaults;
 * '{"compare": {"match_level": true}}' takes the difference of the levels away. Both inputs may be one, unless a reader gives it.
 *
 * The caller sees to it:
 * 'reference', 'degraded' and 'call' are valid, 'call' may be NULL; text is NULL or ends with a NUL; 'out_json' is writable; 'out_error'
 * is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_compare(psnd_engine engine,
                                const psnd_input *reference,
                                const psnd_input *degraded,
                                const char *options_json,
                                const psnd_call *call,
                                char **out_json,
                                psnd_error **out_error);

/**
 * The smallest and largest sample of each stretch of a whole input, for hosts that draw it themselves; as JSON, see the schema 'peaks'.
 * 'options_json': see the schema 'peak_options', NULL for the defaults; '{"peaks": {"max_pixels": 2000}}' keeps long inputs short.
 *
 * The caller sees to it:
 * As 'psnd_engine_measure'.
 */
PSND_API
psnd_status psnd_engine_waveform_peaks(psnd_engine engine,
                                       const psnd_input *input,
                                       const char *options_json,
                                       const psnd_call *call,
                                       char **out_json,
                                       psnd_error **out_error);

/**
 * Draws the waveform of a whole input, as PNG. 'options_json': see the schema 'waveform_options', NULL for the defaults;
 * '{"width": 800, "height": 200}'. Free the bytes by 'psnd_bytes_free'.
 *
 * The caller sees to it:
 * 'input' and 'call' are valid, 'call' may be NULL; text is NULL or ends with a NUL; 'out_data' and 'out_size' are writable; 'out_error'
 * is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_waveform_png(psnd_engine engine,
                                     const psnd_input *input,
                                     const char *options_json,
                                     const psnd_call *call,
                                     uint8_t **out_data,
                                     size_t *out_size,
                                     psnd_error **out_error);

/**
 * Draws a spectrogram of a whole input, as PNG. 'options_json': see the schema 'spectrogram_options', NULL for the defaults;
 * '{"scale": "mel"}'. Free the bytes by 'psnd_bytes_free'.
 *
 * The caller sees to it:
 * As 'psnd_engine_waveform_png'.
 */
PSND_API
psnd_status psnd_engine_spectrogram_png(psnd_engine engine,
                                        const psnd_input *input,
                                        const char *options_json,
                                        const psnd_call *call,
                                        uint8_t **out_data,
                                        size_t *out_size,
                                        psnd_error **out_error);

/**
 * Makes a page for people, one HTML file that needs nothing else: waveform, loudness over time, spectrogram, faults, delivery
 * specifications, facts, tags. 'options_json': see the schema 'page_options', NULL for the defaults; '{"specifications": ["acx"]}'.
 * '*out_json' is what stands on it as JSON, 'analysis' and 'check', see the schema 'analysis_page'; NULL when it is not wanted.
 *
 * The caller sees to it:
 * 'input' and 'call' are valid, 'call' may be NULL; text is NULL or ends with a NUL; 'out_html' is writable; 'out_json' and 'out_error'
 * are NULL or writable.
 */
PSND_API
psnd_status psnd_engine_analysis_page(psnd_engine engine,
                                      const psnd_input *input,
                                      const char *options_json,
                                      const psnd_call *call,
                                      char **out_html,
                                      char **out_json,
                                      psnd_error **out_error);

/**
 * Makes a page as 'psnd_engine_analysis_page' of a recording before and after it was processed, with what is gone and what is new.
 * 'report_json' is the report of the run, which gives its steps and its target; NULL for none. Both inputs may be one, unless a reader
 * gives it.
 *
 * The caller sees to it:
 * 'before', 'after' and 'call' are valid, 'call' may be NULL; texts are NULL or end with a NUL; 'out_html' is writable; 'out_error' is
 * NULL or writable.
 */
PSND_API
psnd_status psnd_engine_comparison_page(psnd_engine engine,
                                        const psnd_input *before,
                                        const psnd_input *after,
                                        const char *report_json,
                                        const char *options_json,
                                        const psnd_call *call,
                                        char **out_html,
                                        psnd_error **out_error);

/**
 * Calls 'callback' for each event from now on whose topic fits 'pattern', such as 'process.*' or '*'. Free the subscription to end it.
 *
 * The caller sees to it:
 * 'pattern' ends with a NUL; 'out_subscription' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_subscribe(psnd_engine engine,
                                  const char *pattern,
                                  psnd_event_fn callback,
                                  void *user_data,
                                  psnd_destroy_fn destroy,
                                  psnd_subscription *out_subscription,
                                  psnd_error **out_error);

/**
 * What a subscription did so far, as JSON: 'delivered', 'failed', 'lost', 'waiting', ...
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_subscription_stats(psnd_subscription subscription, char **out_json, psnd_error **out_error);

/**
 * Ends a subscription. When this returns, its callback does not run any more and 'destroy' was called. From within the callback:
 * that call is the last, and 'destroy' is called after it. Two callbacks that free each other's subscription wait for each other:
 * free them elsewhere. 0 is fine.
 */
PSND_API
psnd_status psnd_subscription_free(psnd_subscription subscription);

/**
 * Keeps events from now on whose topic fits 'pattern', until they are asked for: for hosts that must not be called from threads
 * which are not theirs.
 *
 * The caller sees to it:
 * 'pattern' ends with a NUL; 'out_poller' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_poll(psnd_engine engine,
                             const char *pattern,
                             psnd_poller *out_poller,
                             psnd_error **out_error);

/**
 * The next event, as for 'psnd_event_fn', the most urgent first; waits for it at most 'timeout_ms'. '*out_json' is NULL when there is
 * none. Free it by 'psnd_string_free'.
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_poller_next(psnd_poller poller,
                             uint32_t timeout_ms,
                             char **out_json,
                             psnd_error **out_error);

/**
 * Frees a poller. Who waits in it gets what comes until its time is over. 0 is fine.
 */
PSND_API psnd_status psnd_poller_free(psnd_poller poller);

/**
 * Publishes an event of the host's own: any topic such as 'host.started', and any JSON as its payload. '*out_sequence' is its number;
 * NULL when it is not wanted.
 *
 * The caller sees to it:
 * Text ends with a NUL; 'out_sequence' and 'out_error' are NULL or writable.
 */
PSND_API
psnd_status psnd_engine_publish(psnd_engine engine,
                                const char *topic,
                                const char *payload_json,
                                uint64_t *out_sequence,
                                psnd_error **out_error);

/**
 * Opens jobs in 'database': a file, which is made when it is not there, or a PostgreSQL database ('postgres://...') where the library has
 * that; NULL keeps them in memory. They hold the engine, which may be freed before them.
 *
 * The caller sees to it:
 * 'database' is NULL or ends with a NUL; 'out_jobs' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_jobs_open(psnd_engine engine,
                           const char *database,
                           psnd_jobs *out_jobs,
                           psnd_error **out_error);

/**
 * Frees jobs: threads that work are stopped first, what they have in hand is handed back. 0 is fine.
 */
PSND_API psnd_status psnd_jobs_free(psnd_jobs jobs);

/**
 * Queues recordings to be processed, all or none. 'submission_json': see the schema 'submission':
 * '{"requests": [{"input": "a.wav", "output": "a.opus", "preset": "podcast"}]}'. The answer: see the schema 'submitted'.
 *
 * The caller sees to it:
 * Text ends with a NUL; 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_jobs_submit(psnd_jobs jobs,
                             const char *submission_json,
                             char **out_json,
                             psnd_error **out_error);

/**
 * A job as JSON, see the schema 'job'.
 *
 * The caller sees to it:
 * 'id' ends with a NUL; 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_jobs_get(psnd_jobs jobs, const char *id, char **out_json, psnd_error **out_error);

/**
 * The steps of a job's life as a JSON list, see the schema 'job_history_entry'.
 *
 * The caller sees to it:
 * As 'psnd_jobs_get'.
 */
PSND_API psnd_status psnd_jobs_history(psnd_jobs jobs, const char *id, char **out_json, psnd_error **out_error);

/**
 * Jobs as a JSON list, a page at a time. 'filter_json': see the schema 'job_filter'; NULL for the first 100 of all.
 *
 * The caller sees to it:
 * Text is NULL or ends with a NUL; 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_jobs_list(psnd_jobs jobs, const char *filter_json, char **out_json, psnd_error **out_error);

/**
 * A batch and how far it is, as JSON, see the schema 'job_batch'.
 *
 * The caller sees to it:
 * As 'psnd_jobs_get'.
 */
PSND_API psnd_status psnd_jobs_batch(psnd_jobs jobs, const char *id, char **out_json, psnd_error **out_error);

/**
 * Stops a job: at once when it waits; a running one is asked to. 'why' is kept with it; NULL is fine. The answer is a JSON text:
 * 'cancelled', 'asked' or 'over'.
 *
 * The caller sees to it:
 * 'id' ends with a NUL, 'why' too unless it is NULL; 'out_json' is NULL or writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_jobs_cancel(psnd_jobs jobs,
                             const char *id,
                             const char *why,
                             char **out_json,
                             psnd_error **out_error);

/**
 * Makes a dead or cancelled job wait again, with counters at 0.
 *
 * The caller sees to it:
 * 'id' ends with a NUL; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_jobs_retry(psnd_jobs jobs, const char *id, psnd_error **out_error);

/**
 * Opens, pauses or drains a scope. 'scope': 'all', 'queue:NAME', 'kind:NAME' or 'tenant:NAME'. 'gate': 'open'; 'paused': nothing of it starts;
 * 'draining': it takes no new jobs.
 *
 * The caller sees to it:
 * Texts end with a NUL; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_jobs_set_gate(psnd_jobs jobs,
                               const char *scope,
                               const char *gate,
                               psnd_error **out_error);

/**
 * How many jobs there are, where, as JSON, see the schema 'job_stats'.
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_jobs_stats(psnd_jobs jobs, char **out_json, psnd_error **out_error);

/**
 * Starts threads that do jobs, until 'psnd_jobs_stop' or 'psnd_jobs_free'. 'options_json': see the schema 'work_options'; NULL for the
 * defaults. States and progress come as events of the engine.
 *
 * The caller sees to it:
 * Text is NULL or ends with a NUL; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_jobs_start(psnd_jobs jobs,
                            const char *options_json,
                            psnd_error **out_error);

/**
 * Takes no more jobs, and waits up to 'patience_s' seconds (negative: as configured) for those that run; what is not done by then is handed
 * back. 'out_handed_back': how many; may be NULL. Nothing happens when nobody works.
 *
 * The caller sees to it:
 * 'out_handed_back' and 'out_error' are NULL or writable.
 */
PSND_API
psnd_status psnd_jobs_stop(psnd_jobs jobs,
                           double patience_s,
                           size_t *out_handed_back,
                           psnd_error **out_error);

/**
 * Waits until the jobs named by the JSON list 'ids_json' are over, whoever does them; NULL: until the threads of this have nothing left to do.
 * At most for 'timeout_s' seconds (negative: without end). 'out_over': whether it came to that before the time was over.
 *
 * The caller sees to it:
 * Text is NULL or ends with a NUL; 'call' is NULL or valid; 'out_over' and 'out_error' are NULL or writable.
 */
PSND_API
psnd_status psnd_jobs_wait(psnd_jobs jobs,
                           const char *ids_json,
                           double timeout_s,
                           const psnd_call *call,
                           bool *out_over,
                           psnd_error **out_error);

/**
 * The figures of an engine as OpenMetrics text, for Prometheus and its like: what ran how often and for how long, what failed, what
 * waits. Docs: 'docs/metrics.md'.
 *
 * The caller sees to it:
 * 'out_text' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_metrics(psnd_engine engine,
                                char **out_text,
                                psnd_error **out_error);

/**
 * The health of an engine as JSON ('application/health+json'), see the schema 'health': 'status' is 'pass', 'warn' or 'fail'.
 * 'probe' asks one question: 'live' (does it run at all?), 'ready' (can it take work?), 'startup' (is it up?); NULL asks everything.
 * Takes a second at most, whatever is asked.
 *
 * The caller sees to it:
 * 'probe' is NULL or ends with a NUL; 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_health(psnd_engine engine,
                               const char *probe,
                               char **out_json,
                               psnd_error **out_error);

/**
 * What the jobs of an engine hold of its budgets, and who waits, as JSON, see the schema 'usage'.
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_engine_usage(psnd_engine engine, char **out_json, psnd_error **out_error);

/**
 * Hands the log of an engine to 'callback' from now on, instead of to the one before: records of 'level' ('error', 'warn', 'info',
 * 'debug', 'trace') and those that are more important. Until this is called nothing is logged.
 *
 * With NULL for 'callback' the one that listens stays and only the level changes, at once, also for what runs; with 'off' and NULL
 * nobody listens any more. ('user_data' and 'destroy' are not used then; 'destroy' is called all the same.) What runs keeps the
 * callback that it began with, and 'destroy' is called when the last such run is over.
 *
 * The caller sees to it:
 * 'level' ends with a NUL; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_engine_log(psnd_engine engine,
                            const char *level,
                            psnd_log_fn callback,
                            void *user_data,
                            psnd_destroy_fn destroy,
                            psnd_error **out_error);

/**
 * Opens an input. 'options_json': read options, NULL for the defaults. What 'input' points to as 'data' or 'reader' is used until the
 * decoder is freed.
 *
 * The caller sees to it:
 * 'input' is valid; text is NULL or ends with a NUL; 'out_decoder' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_decoder_open(psnd_engine engine,
                              const psnd_input *input,
                              const char *options_json,
                              psnd_decoder *out_decoder,
                              psnd_error **out_error);

/**
 * What is being decoded, as JSON, see the schema 'stream_info'. The duration may become more exact while reading.
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_decoder_info(psnd_decoder decoder, char **out_json, psnd_error **out_error);

/**
 * Reads the next frames to 'channels': 'channel_count' arrays of at least 'max_frames' floats, +/-1.0 is full scale. '*out_frames' is
 * how many came: fewer than asked for only at the end, 0 after it.
 *
 * The caller sees to it:
 * 'channels' is writable as said; 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_decoder_read(psnd_decoder decoder,
                              float *const *channels,
                              size_t channel_count,
                              size_t max_frames,
                              size_t *out_frames,
                              psnd_error **out_error);

/**
 * As 'psnd_decoder_read', interleaved: 'samples' has room for 'max_frames' times the channels.
 *
 * The caller sees to it:
 * 'samples' is writable as said; 'out_frames' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_decoder_read_interleaved(psnd_decoder decoder,
                                          float *samples,
                                          size_t max_frames,
                                          size_t *out_frames,
                                          psnd_error **out_error);

/**
 * Continues at exactly 'frame'. Beyond the end: the next read gives 0 frames.
 *
 * The caller sees to it:
 * 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_decoder_seek(psnd_decoder decoder, uint64_t frame, psnd_error **out_error);

/**
 * Damage that was met so far and decoded around, as JSON, as 'damage' of the schema 'report'.
 *
 * The caller sees to it:
 * 'out_json' is writable; 'out_error' is NULL or writable.
 */
PSND_API psnd_status psnd_decoder_damage(psnd_decoder decoder, char **out_json, psnd_error **out_error);

/**
 * Frees a decoder. 0 is fine.
 */
PSND_API psnd_status psnd_decoder_free(psnd_decoder decoder);

/**
 * Makes an encoder for blocks of 'rate_hz' and 'layout' ('stereo', '5.1', a count, ...). To the file 'path', which appears when it is
 * finished, whole; or for NULL to memory. 'format_json' is a format with its settings, see the schema 'format'; NULL takes that of the
 * extension. What the format cannot take as it is (rate, channels) is resampled and mixed. 'metadata_json': see the schema 'metadata';
 * NULL for none.
 *
 * The caller sees to it:
 * Text is NULL or ends with a NUL; 'out_encoder' is writable; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_encoder_new(psnd_engine engine,
                             const char *path,
                             uint32_t rate_hz,
                             const char *layout,
                             const char *format_json,
                             const char *metadata_json,
                             psnd_encoder *out_encoder,
                             psnd_error **out_error);

/**
 * Encodes 'frames' frames: 'channels' has 'channel_count' arrays of 'frames' floats, +/-1.0 is full scale.
 *
 * The caller sees to it:
 * 'channels' is readable as said; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_encoder_write(psnd_encoder encoder,
                               const float *const *channels,
                               size_t channel_count,
                               size_t frames,
                               psnd_error **out_error);

/**
 * As 'psnd_encoder_write' for interleaved samples: 'frames' times the number of channels.
 *
 * The caller sees to it:
 * 'samples' is readable for that many floats; 'out_error' is NULL or writable.
 */
PSND_API
psnd_status psnd_encoder_write_interleaved(psnd_encoder encoder,
                                           const float *samples,
                                           size_t frames,
                                           psnd_error **out_error);

/**
 * Ends the stream: the file appears under its name, or the bytes come to '*out_data' and '*out_size'; free them by 'psnd_bytes_free'.
 * With a path those two may be NULL, and give NULL and 0. '*out_json' tells what was written, see the schema 'encoded'; NULL when it is
 * not wanted. The encoder can only be freed after.
 *
 * The caller sees to it:
 * Pointers are NULL or writable.
 */
PSND_API
psnd_status psnd_encoder_finish(psnd_encoder encoder,
                                char **out_json,
                                uint8_t **out_data,
                                size_t *out_size,
                                psnd_error **out_error);

/**
 * Frees an encoder. One that was not finished leaves nothing behind. 0 is fine.
 */
PSND_API psnd_status psnd_encoder_free(psnd_encoder encoder);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PURESOUND_H */
