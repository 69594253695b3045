/* SPDX-License-Identifier: Apache-2.0 */
#include "server/io.h"

#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/conn.h"
#include "server/models.h"
#include "server/stream.h"
#include "server/tls.h"

#define BACKLOG 4096
/* How long a listener that takes no new clients stays for handshakes that are under way. */
#define HANDSHAKE_MS 200u
/* An answer's largest body: max_inputs labels of any length, and to spare. */
#define ANSWER_BYTES_MAX ((size_t)64 << 20)

static inferd_status fail_uv(inferd_error *err, const char *what, int rc)
{
    return ifd_fail(err, rc == UV_ENOMEM ? INFERD_NO_MEMORY : INFERD_IO, "%s: %s", what,
                    uv_strerror(rc));
}

/* --- finished jobs --- */

void ifd_io_job_done(struct ifd_job *job)
{
    struct ifd_request *r = (struct ifd_request *)job;
    struct ifd_io *io = r->io;
    struct ifd_request *head = atomic_load_explicit(&io->completed, memory_order_relaxed);
    do
        r->next = head;
    /* release: what the worker wrote is seen by the I/O thread that takes the list */
    while (!atomic_compare_exchange_weak_explicit(&io->completed, &head, r, memory_order_release,
                                                  memory_order_relaxed));
    /* Only who finds the list empty wakes the thread. The request may be gone by now, but the
     * thread waits for all that it has outstanding, so `io` is there: see ifd_io_maybe_finish. */
    if (!head)
        ifd_io_notify(io);
}

static void take_completed(struct ifd_io *io)
{
    struct ifd_request *stack =
        atomic_exchange_explicit(&io->completed, NULL, memory_order_acquire);
    struct ifd_request *list = NULL; /* in the order of completion */
    while (stack) {
        struct ifd_request *r = stack;
        stack = r->next;
        r->next = list;
        list = r;
    }
    while (list) {
        struct ifd_request *r = list;
        list = r->next;
        r->submitted = false;
        io->outstanding--;
        if (r->parent)
            ifd_stream_child_done(r);
        else if (r->conn)
            ifd_conn_job_done(r->conn);
        else
            ifd_io_release_request(io, r);
    }
}

void ifd_io_release_request(struct ifd_io *io, struct ifd_request *r)
{
    if (r->mirror && ifd_shadow_keep(io, r))
        return;
    ifd_engine_release(r->job.engine);
    r->job.engine = NULL;
    ifd_request_give(&io->pool, r);
}

/* --- time --- */

static void on_tick(uv_timer_t *timer)
{
    struct ifd_io *io = timer->data;
    struct ifd_timer *t;
    while ((t = ifd_wheel_expire(&io->wheel, uv_now(&io->loop))))
        ifd_conn_timeout(ifd_conn_of_timer(t));
    if (io->wheel.armed == 0) {
        uv_timer_stop(&io->tick);
        io->ticking = false;
    }
}

void ifd_io_start_tick(struct ifd_io *io)
{
    if (io->ticking)
        return;
    io->ticking = true;
    uv_timer_start(&io->tick, on_tick, IFD_WHEEL_TICK_MS, IFD_WHEEL_TICK_MS);
}

const char *ifd_io_date(struct ifd_io *io)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if ((uint64_t)now.tv_sec != io->date_second || !io->date[0]) {
        io->date_second = (uint64_t)now.tv_sec;
        ifd_http_date(io->date, now.tv_sec);
    }
    return io->date;
}

/* --- phases --- */

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0)
        ifd_conn_accept(listener->data, listener);
}

static void on_rejected(uv_handle_t *handle)
{
    struct ifd_io *io = handle->data;
    io->rejecting = false;
    for (unsigned i = 0; i < 2; i++) {
        uv_stream_t *listener = io->reject_again[i];
        io->reject_again[i] = NULL;
        if (listener && (i ? io->listening_local : io->listening))
            ifd_io_reject(io, listener);
    }
}

void ifd_io_reject(struct ifd_io *io, uv_stream_t *listener)
{
    const bool local = listener->type == UV_NAMED_PIPE;
    if (io->rejecting) {
        io->reject_again[local] = listener; /* when the one handle is free again */
        return;
    }
    ifd_log(IFD_LOG_ERROR, "connection refused: no memory", IFD_U64("connections", io->open));
    if ((local ? uv_pipe_init(&io->loop, &io->rejected.pipe, 0)
               : uv_tcp_init(&io->loop, &io->rejected.tcp)) != 0)
        return;
    io->rejected.tcp.data = io;
    io->rejecting = true;
    (void)uv_accept(listener, (uv_stream_t *)&io->rejected);
    uv_close((uv_handle_t *)&io->rejected, on_rejected);
}

/* What the kernel has accepted for us is ours: take it before the listener goes, or it is reset. */
static void empty_backlog(struct ifd_io *io, uv_handle_t *listener)
{
    uv_os_fd_t fd;
    if (uv_fileno(listener, &fd) != 0)
        return;
    for (;;) {
        int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (client < 0)
            return;
        ifd_conn_adopt(io, client, listener->type == UV_NAMED_PIPE);
    }
}

/* From now on the kernel drops the first packet of new connections. Between the last accept and the
 * close of a listener a handshake could end, and that client would be reset after its connect had
 * succeeded; with this, none begins, and those under way end before the close. A client that comes
 * meanwhile sends its packet again after a second, and is refused then. */
static bool take_no_more(struct ifd_io *io)
{
    /* a filter of a TCP socket sees the TCP header: byte 13 has the flags, 2 is SYN */
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFFu),
    };
    const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    uv_os_fd_t fd;
    return uv_fileno((uv_handle_t *)&io->listener, &fd) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

/* Connecting to a Unix socket is done at once, so none is half-way. */
static void close_local(struct ifd_io *io)
{
    if (!io->listening_local)
        return;
    empty_backlog(io, (uv_handle_t *)&io->local);
    io->listening_local = false;
    uv_close((uv_handle_t *)&io->local, NULL); /* unlinks the path, too */
}

static void close_listener(struct ifd_io *io)
{
    close_local(io);
    if (!io->listening)
        return;
    empty_backlog(io, (uv_handle_t *)&io->listener);
    io->listening = false;
    uv_timer_stop(&io->closing);
    uv_close((uv_handle_t *)&io->listener, NULL);
    ifd_io_maybe_finish(io);
}

static void on_handshakes_over(uv_timer_t *timer)
{
    close_listener(timer->data);
}

static void act_on_phase(struct ifd_io *io)
{
    enum ifd_phase phase = ifd_server_phase(io->server);
    if (phase == io->phase)
        return;
    io->phase = phase;
    if (phase < IFD_CLOSING)
        return;
    if (phase == IFD_KILLED || !io->listening || !take_no_more(io))
        close_listener(io);
    else
        uv_timer_start(&io->closing, on_handshakes_over, HANDSHAKE_MS, 0);
    for (struct ifd_link *l = io->conns.next, *next; l != &io->conns; l = next) {
        next = l->next;
        bool cut = false;
        if (phase == IFD_CLOSING)
            ifd_conn_wind_down(ifd_conn_of_all(l));
        else
            ifd_conn_close(ifd_conn_of_all(l), &cut);
        if (cut)
            atomic_fetch_add_explicit(&io->server->dropped, 1, memory_order_relaxed);
    }
    ifd_io_maybe_finish(io);
}

static void on_async(uv_async_t *async)
{
    struct ifd_io *io = async->data;
    ifd_models_take(io);
    take_completed(io);
    act_on_phase(io);
    ifd_io_maybe_finish(io);
    if (io->index == 0)
        ifd_server_on_notify(io->server);
}

/* uv_async_send looks whether a notice is pending with a plain read, which the processor may take
 * before what the caller has just written is visible: it would then find the notice that the thread
 * is acting on, send none, and the thread would not see the write. Hence the fence, on any
 * architecture that delays stores. */
void ifd_io_notify(struct ifd_io *io)
{
    atomic_thread_fence(memory_order_seq_cst);
    uv_async_send(&io->async);
}

void ifd_io_maybe_finish(struct ifd_io *io)
{
    struct ifd_server *s = io->server;
    if (io->finished || io->phase < IFD_CLOSING || io->listening || io->connections > 0 ||
        io->outstanding > 0)
        return;
    io->finished = true;
    /* release: I/O thread 0 goes on when all have said so */
    atomic_fetch_sub_explicit(&s->ios_running, 1, memory_order_release);
    ifd_io_notify(&s->ios[0]);
    /* handles stay open: others may still send to `async`. ifd_io_fini closes them */
    if (io->index != 0)
        uv_stop(&io->loop);
}

/* --- life --- */

inferd_status ifd_io_init(struct ifd_io *io, struct ifd_server *server, unsigned index,
                          inferd_error *err)
{
    const struct ifd_server_config *c = &server->config;
    int rc = uv_loop_init(&io->loop);
    if (rc)
        return fail_uv(err, "cannot make an event loop", rc);
    io->server = server; /* marks the loop as open */
    io->index = index;
    io->open_max = (c->max_connections + c->http_threads - 1) / c->http_threads;
    ifd_metrics_io_init(&io->metrics);
    ifd_exemplars_init(&io->exemplars);
    ifd_ident_source_init(&io->ids);
    if (server->traces.on)
        io->ids.sample_percent = c->otlp_sample_percent;
    ifd_ring_init(&io->conns);
    ifd_ring_init(&io->evictable);
    ifd_wheel_init(&io->wheel, uv_now(&io->loop));
    ifd_buf_init(&io->body, ANSWER_BYTES_MAX);
    ifd_buf_init(&io->out, ANSWER_BYTES_MAX);
    io->tick.data = io;
    if ((rc = uv_async_init(&io->loop, &io->async, on_async)) ||
        (rc = uv_timer_init(&io->loop, &io->tick)) ||
        (rc = uv_timer_init(&io->loop, &io->closing)) || (rc = ifd_shadow_init(&io->shadow, io)))
        return fail_uv(err, "cannot make an event loop", rc);
    io->async.data = io->tick.data = io->closing.data = io;
    io->read_buffer = ifd_alloc(IFD_IO_READ_BYTES);
    io->plain = c->tls_cert ? ifd_alloc(IFD_TLS_RECORD_BYTES) : NULL;
    io->tokenizer = ifd_tokenizer_scratch_create();
    inferd_status status = ifd_sha256_init(&io->sha, err);
    if (status)
        return status;
    if (!io->read_buffer || !io->tokenizer || (c->tls_cert && !io->plain))
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for I/O thread %u", index);
    return INFERD_OK;
}

static bool resolve(const char *host, unsigned port, struct sockaddr_storage *out)
{
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)out) == 0 ||
           uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)out) == 0;
}

inferd_status ifd_io_listen(struct ifd_io *io, unsigned *port, inferd_error *err)
{
    const struct ifd_server_config *c = &io->server->config;
    struct sockaddr_storage address;
    char what[160];
    snprintf(what, sizeof(what), "cannot listen on %s port %u (--host, --port)", c->host, *port);
    if (!resolve(c->host, *port, &address))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "--host %s is not an IPv4 or IPv6 address or \"localhost\"", c->host);
    int rc = uv_tcp_init_ex(&io->loop, &io->listener, address.ss_family);
    if (rc)
        return fail_uv(err, what, rc);
    io->listener.data = io;
    io->listening = true;
    if (c->http_threads > 1) {
        /* the kernel spreads new connections over the threads' listeners */
        uv_os_fd_t fd;
        const int on = 1;
        if ((rc = uv_fileno((uv_handle_t *)&io->listener, &fd)))
            return fail_uv(err, what, rc);
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
            return fail_uv(err, what, uv_translate_sys_error(errno));
    }
    struct sockaddr_storage bound;
    int size = sizeof(bound);
    if ((rc = uv_tcp_bind(&io->listener, (const struct sockaddr *)&address, 0)) ||
        (rc = uv_listen((uv_stream_t *)&io->listener, BACKLOG, on_connection)) ||
        (rc = uv_tcp_getsockname(&io->listener, (struct sockaddr *)&bound, &size)))
        return fail_uv(err, what, rc);
    *port = ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
                                             : ((struct sockaddr_in6 *)&bound)->sin6_port);
    return INFERD_OK;
}

/* Left behind by a server that was killed: a socket that refuses. */
static void remove_stale(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    memcpy(a.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 && errno == ECONNREFUSED)
        (void)unlink(path);
    if (fd >= 0)
        close(fd);
}

inferd_status ifd_io_listen_local(struct ifd_io *io, const char *path, inferd_error *err)
{
    char what[200];
    snprintf(what, sizeof(what), "cannot listen on --uds %.120s", path);
    if (strlen(path) == 0 || strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "--uds: a Unix socket's path has 1 to 107 bytes, this one %zu",
                        strlen(path));
    remove_stale(path);
    int rc = uv_pipe_init(&io->loop, &io->local, 0);
    if (rc)
        return fail_uv(err, what, rc);
    io->local.data = io;
    if ((rc = uv_pipe_bind(&io->local, path)) ||
        (rc = uv_listen((uv_stream_t *)&io->local, BACKLOG, on_connection)))
        return fail_uv(err, what, rc);
    (void)chmod(path, 0660); /* the directory's rights decide beyond that */
    io->listening_local = true;
    return INFERD_OK;
}

void ifd_io_run(struct ifd_io *io)
{
    uv_run(&io->loop, UV_RUN_DEFAULT);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void ifd_io_fini(struct ifd_io *io)
{
    if (!io->server)
        return;
    /* connections are gone: only our own handles can be left, after a start that failed */
    IFD_ASSERT(io->connections == 0 && io->outstanding == 0);
    uv_walk(&io->loop, close_handle, NULL);
    uv_run(&io->loop, UV_RUN_DEFAULT);
    IFD_ASSERT(uv_loop_close(&io->loop) == 0);
    ifd_engine_release(io->engine);
    ifd_shadow_fini(&io->shadow);
    ifd_tokenizer_scratch_free(io->tokenizer);
    ifd_request_pool_fini(&io->pool);
    ifd_ranking_fini(&io->ranking);
    ifd_sha256_fini(&io->sha);
    ifd_exemplars_fini(&io->exemplars);
    ifd_buf_fini(&io->body);
    ifd_buf_fini(&io->out);
    ifd_free(io->read_buffer);
    ifd_free(io->plain);
    io->server = NULL;
}
