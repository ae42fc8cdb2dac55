/* A plug-in of qemu-user that counts executed guest instructions.
 *
 *   gcc -O2 -shared -fPIC -DAPI=1 -o insn_count.so insn_count.c
 *   qemu-aarch64 -plugin ./insn_count.so,out=counts.txt PROGRAM
 *
 * The guest marks places with the system call getpriority(PRIO_PROCESS, 0x52540000 + n), which has no effect: a process
 * of that number cannot exist. Each mark, and the end (mark -1), is a line "MARK INSTRUCTIONS DOT_PRODUCTS" in `out`.
 * Dot products are the vector instructions of Arm that multiply four pairs of bytes and add: sdot and udot.
 *
 * API is the version of the plug-in interface: 1 up to QEMU 8, 2 in 9.0, 3 from 9.1. What is used of it is declared here,
 * so that no header of QEMU is needed: Debian 12 does not package it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct {
    const char *target_name;
} info_head; /* the rest is not used */
enum cb_flags { CB_NO_REGS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), enum cb_flags, void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
void qemu_plugin_register_vcpu_syscall_cb(
    plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
#if API < 3
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
#else
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *, void *, size_t);
#endif

EXPORT int qemu_plugin_version = API;

#define MARK UINT64_C(0x52540000)
#define MARKS 65536
#define THREADS 1024

/* The number of getpriority. */
enum { SYSCALL_AARCH64 = 141, SYSCALL_X86_64 = 140 };

/* Of each thread of the guest, on a cache line of its own: counting needs no lock. */
static struct {
    uint64_t insns, dots;
    char pad[48];
} counts[THREADS] __attribute__((aligned(64)));

struct block {
    uint64_t insns, dots;
};

static FILE *out;
static int64_t mark_syscall;

static void on_exec(unsigned vcpu, void *data)
{
    const struct block *block = data;
    counts[vcpu % THREADS].insns += block->insns;
    counts[vcpu % THREADS].dots += block->dots;
}

/* By its bits: the disassembler of QEMU 7.2 does not know these instructions. */
static bool is_dot(const struct qemu_plugin_insn *insn)
{
    uint32_t word;
    if (mark_syscall != SYSCALL_AARCH64)
        return false;
#if API < 3
    memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
#else
    qemu_plugin_insn_data(insn, &word, sizeof word);
#endif
    return (word & 0x9fe0fc00) == 0x0e809400 || (word & 0x9fc0f400) == 0x0f80e000; /* vectors; vector by element */
}

static void on_translate(plugin_id id, struct qemu_plugin_tb *tb)
{
    (void)id;
    struct block *block = calloc(1, sizeof *block); /* lives as long as the translation, which may be for ever */
    if (!block)
        abort();
    block->insns = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < block->insns; i++)
        block->dots += is_dot(qemu_plugin_tb_get_insn(tb, i));
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_exec, CB_NO_REGS, block);
}

static void report(long mark)
{
    uint64_t insns = 0, dots = 0;
    for (size_t i = 0; i < THREADS; i++) {
        insns += counts[i].insns;
        dots += counts[i].dots;
    }
    fprintf(out, "%ld %" PRIu64 " %" PRIu64 "\n", mark, insns, dots);
    fflush(out);
}

static void on_syscall(plugin_id id, unsigned vcpu, int64_t number, uint64_t which, uint64_t who, uint64_t a3,
                       uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)vcpu, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == mark_syscall && which == 0 && who - MARK < MARKS)
        report((long)(who - MARK));
}

static void on_exit_(plugin_id id, void *data)
{
    (void)id, (void)data;
    report(-1);
}

EXPORT int qemu_plugin_install(plugin_id id, const info_head *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
    if (!strcmp(info->target_name, "aarch64"))
        mark_syscall = SYSCALL_AARCH64;
    else if (!strcmp(info->target_name, "x86_64"))
        mark_syscall = SYSCALL_X86_64;
    if (!out || !mark_syscall) {
        fprintf(stderr, "insn_count: needs out=FILE, and a guest of aarch64 or x86_64\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    qemu_plugin_register_atexit_cb(id, on_exit_, NULL);
    return 0;
}
