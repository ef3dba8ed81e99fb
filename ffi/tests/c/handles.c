/* Handles that are none, stale, of another type, or made up: for every function that takes one. */
#include "check.h"

static void no_event(void *user_data, const char *event_json) {
    (void)user_data;
    (void)event_json;
}

/* All functions with a handle, called with one that is not theirs. */
static void refused_everywhere(uint64_t handle) {
    char *text = NULL;
    size_t size = 0;
    uint64_t count = 0;
    uint32_t rate = 0;
    double value = 0.0;
    bool flag = false;
    const float *samples = NULL;
    const uint8_t *bytes = NULL;
    uint8_t *owned = NULL;
    uint64_t made = 0;
    psnd_input input = PSND_INPUT_INIT;
    input.path = recording;
#define REFUSED(call) FAILS(INVALID_HANDLE, "\"handle\"", call)
    REFUSED(psnd_engine_config(handle, &text, &error));
    REFUSED(psnd_engine_presets(handle, &text, &error));
    REFUSED(psnd_engine_preset(handle, "podcast", &text, &error));
    REFUSED(psnd_engine_recipe(handle, "{}", &text, &error));
    REFUSED(psnd_engine_plan(handle, &input, "{}", &text, &error));
    REFUSED(psnd_engine_probe(handle, &input, NULL, &text, &error));
    REFUSED(psnd_engine_tags(handle, &input, NULL, &text, &error));
    REFUSED(psnd_engine_measure(handle, &input, NULL, NULL, &text, &error));
    REFUSED(psnd_engine_analyse(handle, &input, NULL, NULL, &text, &error));
    REFUSED(psnd_engine_check(handle, &input, NULL, NULL, NULL, &text, &error));
    REFUSED(psnd_engine_classify(handle, &input, NULL, NULL, &text, &error));
    REFUSED(psnd_engine_recommend(handle, &input, NULL, NULL, &text, &error));
    REFUSED(psnd_engine_compare(handle, &input, &input, NULL, NULL, &text, &error));
    REFUSED(psnd_engine_waveform_peaks(handle, &input, NULL, NULL, &text, &error));
    REFUSED(psnd_engine_waveform_png(handle, &input, NULL, NULL, &owned, &size, &error));
    REFUSED(psnd_engine_spectrogram_png(handle, &input, NULL, NULL, &owned, &size, &error));
    REFUSED(psnd_engine_analysis_page(handle, &input, NULL, NULL, &text, &text, &error));
    REFUSED(psnd_engine_comparison_page(handle, &input, &input, NULL, NULL, NULL, &text, &error));
    REFUSED(psnd_jobs_open(handle, NULL, &made, &error));
    REFUSED(psnd_jobs_submit(handle, "{}", &text, &error));
    REFUSED(psnd_jobs_get(handle, "", &text, &error));
    REFUSED(psnd_jobs_history(handle, "", &text, &error));
    REFUSED(psnd_jobs_list(handle, NULL, &text, &error));
    REFUSED(psnd_jobs_batch(handle, "", &text, &error));
    REFUSED(psnd_jobs_cancel(handle, "", NULL, &text, &error));
    REFUSED(psnd_jobs_retry(handle, "", &error));
    REFUSED(psnd_jobs_set_gate(handle, "all", "open", &error));
    REFUSED(psnd_jobs_stats(handle, &text, &error));
    REFUSED(psnd_jobs_start(handle, NULL, &error));
    REFUSED(psnd_jobs_stop(handle, 0.0, &size, &error));
    REFUSED(psnd_jobs_wait(handle, NULL, 0.0, NULL, &flag, &error));
    REFUSED(psnd_engine_process(handle, &input, "{}", NULL, &text, &error));
    REFUSED(psnd_engine_process_to_memory(handle, &input, "{}", NULL, &text, &made, &error));
    REFUSED(psnd_engine_decode(handle, &input, NULL, NULL, &made, &error));
    REFUSED(psnd_engine_encode(handle, handle, "x.wav", NULL, NULL, &text, &error));
    REFUSED(psnd_engine_encode_to_memory(handle, handle, "{}", NULL, &owned, &size, &text, &error));
    REFUSED(psnd_engine_poll(handle, "*", &made, &error));
    REFUSED(psnd_engine_publish(handle, "a.b", "1", &count, &error));
    REFUSED(psnd_engine_metrics(handle, &text, &error));
    REFUSED(psnd_engine_health(handle, NULL, &text, &error));
    REFUSED(psnd_engine_usage(handle, &text, &error));
    REFUSED(psnd_engine_log(handle, "info", NULL, NULL, NULL, &error));
    REFUSED(psnd_engine_subscribe(handle, "*", no_event, NULL, NULL, &made, &error));
    REFUSED(psnd_decoder_open(handle, &input, NULL, &made, &error));
    REFUSED(psnd_encoder_new(handle, NULL, 48000, "stereo", "{\"format\":\"wav\"}", NULL, &made, &error));
    REFUSED(psnd_outputs_count(handle, &size, &error));
    REFUSED(psnd_outputs_bytes(handle, 0, &bytes, &size, &error));
    REFUSED(psnd_audio_rate_hz(handle, &rate, &error));
    REFUSED(psnd_audio_channels(handle, &size, &error));
    REFUSED(psnd_audio_frames(handle, &size, &error));
    REFUSED(psnd_audio_layout(handle, &text, &error));
    REFUSED(psnd_audio_channel(handle, 0, &samples, &error));
    REFUSED(psnd_audio_copy_interleaved(handle, left, 1, &size, &error));
    REFUSED(psnd_decoder_info(handle, &text, &error));
    REFUSED(psnd_decoder_read(handle, (float *const *)both, 2, 10, &size, &error));
    REFUSED(psnd_decoder_read_interleaved(handle, left, 10, &size, &error));
    REFUSED(psnd_decoder_seek(handle, 0, &error));
    REFUSED(psnd_decoder_damage(handle, &text, &error));
    REFUSED(psnd_encoder_write(handle, (const float *const *)both, 2, 10, &error));
    REFUSED(psnd_encoder_write_interleaved(handle, left, 10, &error));
    REFUSED(psnd_encoder_finish(handle, &text, &owned, &size, &error));
    REFUSED(psnd_chain_process(handle, (float *const *)both, 2, 10, &error));
    REFUSED(psnd_chain_process_interleaved(handle, left, 10, &error));
    REFUSED(psnd_chain_set_parameter(handle, 0, "gain_db", 0.0, &error));
    REFUSED(psnd_chain_set_glide_ms(handle, 1.0, &error));
    REFUSED(psnd_chain_reset(handle, &error));
    REFUSED(psnd_chain_latency_frames(handle, &size, &error));
    REFUSED(psnd_chain_tail_frames(handle, &size, &error));
    REFUSED(psnd_chain_finish(handle, (float *const *)both, 2, 10, &size, &error));
    REFUSED(psnd_meter_push(handle, (const float *const *)both, 2, 10, &error));
    REFUSED(psnd_meter_push_interleaved(handle, left, 10, &error));
    REFUSED(psnd_meter_momentary_lufs(handle, &value, &error));
    REFUSED(psnd_meter_short_term_lufs(handle, &value, &error));
    REFUSED(psnd_meter_integrated_lufs(handle, &value, &error));
    REFUSED(psnd_meter_frames(handle, &count, &error));
    REFUSED(psnd_meter_summary(handle, &text, &error));
    REFUSED(psnd_meter_reset(handle, &error));
    REFUSED(psnd_resampler_process(handle, (const float *const *)both, 2, 10, (float *const *)both, 10, &size, &error));
    REFUSED(psnd_resampler_process_interleaved(handle, left, 10, right, 10, &size, &error));
    REFUSED(psnd_resampler_finish(handle, (float *const *)both, 2, 10, &size, &error));
    REFUSED(psnd_resampler_finish_interleaved(handle, left, 10, &size, &error));
    REFUSED(psnd_resampler_max_output_frames(handle, 10, &size, &error));
    REFUSED(psnd_resampler_reset(handle, &error));
    REFUSED(psnd_cancel_cancel(handle, &error));
    REFUSED(psnd_cancel_is_cancelled(handle, &flag, &error));
    REFUSED(psnd_subscription_stats(handle, &text, &error));
    REFUSED(psnd_poller_next(handle, 0, &text, &error));
#undef REFUSED
    CHECK(text == NULL && made == 0 && owned == NULL && samples == NULL && bytes == NULL && size == 0);
}

/* Every function that frees. */
static void freed_everywhere(psnd_status expected, uint64_t handle) {
    CHECK(psnd_engine_free(handle) == expected);
    CHECK(psnd_audio_free(handle) == expected);
    CHECK(psnd_outputs_free(handle) == expected);
    CHECK(psnd_decoder_free(handle) == expected);
    CHECK(psnd_encoder_free(handle) == expected);
    CHECK(psnd_chain_free(handle) == expected);
    CHECK(psnd_jobs_free(handle) == expected);
    CHECK(psnd_meter_free(handle) == expected);
    CHECK(psnd_resampler_free(handle) == expected);
    CHECK(psnd_cancel_free(handle) == expected);
    CHECK(psnd_subscription_free(handle) == expected);
    CHECK(psnd_poller_free(handle) == expected);
    calls += 11;
}

void test_handles(void) {
    psnd_engine engine = 0, other = 0;
    psnd_cancel cancel = 0;
    psnd_chain chain = 0, again = 0;
    size_t frames = 1;

    freed_everywhere(PSND_STATUS_OK, 0);
    freed_everywhere(PSND_STATUS_INVALID_HANDLE, 1);
    freed_everywhere(PSND_STATUS_INVALID_HANDLE, UINT64_MAX);
    refused_everywhere(0);
    refused_everywhere(UINT64_MAX);
    refused_everywhere((uint64_t)(uintptr_t)&engine);

    /* Stale. */
    OK(psnd_chain_new(NULL, 48000, "stereo", 64, &chain, NULL));
    CHECK(chain != 0);
    OK(psnd_chain_latency_frames(chain, &frames, NULL));
    CHECK(frames == 0);
    OK(psnd_chain_free(chain));
    GIVES(INVALID_HANDLE, psnd_chain_free(chain));
    refused_everywhere(chain);
    freed_everywhere(PSND_STATUS_INVALID_HANDLE, chain);
    /* Another object in what may be the same place does not bring it back. */
    OK(psnd_chain_new(NULL, 48000, "stereo", 64, &again, NULL));
    CHECK(again != chain);
    FAILS(INVALID_HANDLE, "chain", psnd_chain_latency_frames(chain, &frames, &error));
    OK(psnd_chain_free(again));

    /* Of another type: that of the error is the one that was asked for. */
    OK(psnd_cancel_new(&cancel, NULL));
    FAILS(INVALID_HANDLE, "\"what\":\"chain\"", psnd_chain_reset(cancel, &error));
    FAILS(INVALID_HANDLE, "\"what\":\"engine\"", psnd_engine_config(cancel, NULL, &error));
    GIVES(INVALID_HANDLE, psnd_chain_free(cancel));
    GIVES(INVALID_HANDLE, psnd_engine_free(cancel));
    /* Changed by a bit. */
    {
        unsigned bit;
        for (bit = 0; bit < 64; bit++) {
            GIVES(INVALID_HANDLE, psnd_cancel_cancel(cancel ^ ((uint64_t)1 << bit), NULL));
        }
    }
    OK(psnd_cancel_free(cancel));

    /* Two engines know nothing of each other. */
    OK(psnd_engine_new(NULL, &engine, NULL));
    OK(psnd_engine_new("{\"engine\":{\"threads\":1}}", &other, NULL));
    CHECK(engine != other);
    OK(psnd_engine_free(engine));
    {
        char *text = NULL;
        OK(psnd_engine_config(other, &text, NULL));
        HOLDS(text, "\"threads\":1");
    }
    OK(psnd_engine_free(other));
    GIVES(INVALID_HANDLE, psnd_engine_free(other));
}
