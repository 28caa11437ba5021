/* One version of a loop for each processor that does it faster (inside effnet/native). */
#ifndef EFFNET_CPUS_H
#define EFFNET_CPUS_H

#ifndef FOR_EACH_CPU /* given empty on the command line: one version for all processors */
#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_VBMI __builtin_cpu_supports("avx512vbmi") /* it looks 64 bytes up in a table at once */
#endif
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_CPU
#endif
#endif

#endif
