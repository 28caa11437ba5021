/*
 * A machine with another number of processors, for a program that asks how many there are:
 *     LD_PRELOAD=./cpus.so CPUS=8 python ...
 * Only the answers differ. Threads share the real processors, and a wish to stay on one of them is ignored: it may not
 * be there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static int cpus(void) { return atoi(getenv("CPUS")); }

int get_nprocs(void) { return cpus(); }

int get_nprocs_conf(void) { return cpus(); }

long sysconf(int name) {
    if (name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF) return cpus();
    return ((long (*)(int))dlsym(RTLD_NEXT, "sysconf"))(name);
}

int sched_getaffinity(pid_t process, size_t size, cpu_set_t *set) {
    memset(set, 0, size);
    for (int i = 0; i < cpus(); i++) CPU_SET_S(i, size, set);
    return 0;
}

int pthread_getaffinity_np(pthread_t thread, size_t size, cpu_set_t *set) { return sched_getaffinity(0, size, set); }

int sched_setaffinity(pid_t process, size_t size, const cpu_set_t *set) { return 0; }

int pthread_setaffinity_np(pthread_t thread, size_t size, const cpu_set_t *set) { return 0; }
