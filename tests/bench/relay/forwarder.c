/* A plain UDP forwarder, the limit to compare a relay with: epoll, connected sockets, no counters, no learning.
 *   cc -O2 -o forwarder forwarder.c
 *   forwarder CALLS RELAY_ADDRESS FIRST_PORT CALLER_ADDRESS CALLED_ADDRESS FIRST_CLIENT_PORT
 * Call i: relay port FIRST_PORT+4i (caller at FIRST_CLIENT_PORT+2i) <-> FIRST_PORT+4i+2 (called, the same port).
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct end { int descriptor; struct end *other; };

static struct sockaddr_in address_of(const char *text, int port) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)port);
    inet_pton(AF_INET, text, &address.sin_addr);
    return address;
}

int main(int count, char **arguments) {
    if (count != 7) return 2;
    int calls = atoi(arguments[1]), port = atoi(arguments[3]), client = atoi(arguments[6]);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct end *ends = calloc((size_t)calls * 2, sizeof *ends);
    int epoll = epoll_create1(0);
    for (int i = 0; i < calls * 2; i++) {
        struct sockaddr_in ours = address_of(arguments[2], port + 2 * i);
        struct sockaddr_in theirs = address_of(arguments[4 + (i & 1)], client + 2 * (i / 2));
        ends[i].descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        ends[i].other = &ends[i ^ 1];
        if (bind(ends[i].descriptor, (void *)&ours, sizeof ours)) { perror("bind"); return 1; }
        if (connect(ends[i].descriptor, (void *)&theirs, sizeof theirs)) { perror("connect"); return 1; }
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &ends[i] };
        epoll_ctl(epoll, EPOLL_CTL_ADD, ends[i].descriptor, &event);
    }
    puts("ready");
    fflush(stdout);
    static struct epoll_event events[512];
    static char buffer[4096];
    for (;;) {
        int ready = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            struct end *end = events[i].data.ptr;
            ssize_t size = recv(end->descriptor, buffer, sizeof buffer, MSG_DONTWAIT);
            if (size > 0 && send(end->other->descriptor, buffer, (size_t)size, MSG_DONTWAIT) < 0) continue;
        }
    }
}
