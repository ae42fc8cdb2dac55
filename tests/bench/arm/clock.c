/* Prints the clock of this core in GHz: a chain of multiplications, each of which waits three cycles for the one before.
 * The fastest of fifty chains, which other programs disturb least. For x86-64.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 500000
#define CYCLES_PER_ROUND (8 * 3)

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

int main(void)
{
    double best = 0;
    for (int chain = 0; chain < 50; chain++) {
        uint64_t x = 3;
        double begun = cpu_seconds();
        for (int i = 0; i < ROUNDS; i++)
            __asm__ volatile("imul %0, %0\nimul %0, %0\nimul %0, %0\nimul %0, %0\n"
                             "imul %0, %0\nimul %0, %0\nimul %0, %0\nimul %0, %0"
                             : "+r"(x));
        double ghz = 1e-9 * ROUNDS * CYCLES_PER_ROUND / (cpu_seconds() - begun);
        if (ghz > best)
            best = ghz;
    }
    printf("%.3f\n", best);
}
