/* Version of this header; that of the library: psnd_version(). */
#define PSND_VERSION "@VERSION@"

/* Binary interface of this header; that of the library: psnd_abi_version(). */
#define PSND_ABI_VERSION @ABI@

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
