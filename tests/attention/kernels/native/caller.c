/* A program that makes one call of a kernel, for any kind of processor and without a C library: `elsewhere.py` builds it.
 *
 * It maps the file that is its standard input at a fixed address, so that arrays in it have the addresses that the call
 * names. The file begins with a `Call`. CALLS is a file with a table of functions, `functions`. */
#include <stdint.h>

#include CALLS

typedef struct {
    int64_t function, result;
    int64_t integers[16];
    double reals[2];
} Call;

#if defined(__x86_64__)
enum { MAP = 9, EXIT = 60 };

static int64_t ask(int64_t what, int64_t a, int64_t b, int64_t c, int64_t d) {
    register int64_t flags __asm__("r10") = d, file __asm__("r8") = 0, offset __asm__("r9") = 0;
    __asm__ volatile("syscall" : "+a"(what) : "D"(a), "S"(b), "d"(c), "r"(flags), "r"(file), "r"(offset) : "rcx", "r11", "memory");
    return what;
}
#define AT_START __attribute__((force_align_arg_pointer))
#else
enum { MAP = 222, EXIT = 93 };

static int64_t ask(int64_t what, int64_t a, int64_t b, int64_t c, int64_t d) {
    register int64_t number __asm__("x8") = what, first __asm__("x0") = a, second __asm__("x1") = b, third __asm__("x2") = c;
    register int64_t flags __asm__("x3") = d, file __asm__("x4") = 0, offset __asm__("x5") = 0;
    __asm__ volatile("svc 0" : "+r"(first) : "r"(number), "r"(second), "r"(third), "r"(flags), "r"(file), "r"(offset) : "memory");
    return first;
}
#define AT_START
#endif

enum { SHARED_FIXED = 0x11, READABLE_AND_WRITABLE = 3 };

AT_START __attribute__((noreturn, used, visibility("default"))) void _start(void) {
    Call *const call = (Call *)SHARED_AT;
    const int failed = ask(MAP, SHARED_AT, SHARED_BYTES, READABLE_AND_WRITABLE, SHARED_FIXED) != SHARED_AT;
    if (!failed) call->result = functions[call->function](call->integers, call->reals);
    ask(EXIT, failed, 0, 0, 0);
    __builtin_unreachable();
}
