/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/baton.hpp> - the scheduler and its objects as C++17 types that end what they began.
 *
 * Everything is inline, and a thin cover of the calls of <baton/sched.h> and <baton/sync.h>, whose contracts hold: who may call what, what waits,
 * what is ordered. c() gives the object for calls that have no cover here.
 *
 *  - An error is a std::system_error with the errno value in std::generic_category(). A deadline that came is no error: such calls return false. A
 *    cancel or a request's own deadline is one (ECANCELED, ETIME) from calls with a deadline.
 *  - Objects are moved and not copied. A moved-from object may only be destroyed or assigned to. Objects of a scheduler end before the scheduler.
 *  - Functions that are handed to submit() and task may not let an exception out: std::terminate() follows.
 *  - A deadline is CLOCK_MONOTONIC ns, as baton_clock_now() tells it, or a time point of std::chrono::steady_clock, which is the same clock.
 */
#ifndef BATON_BATON_HPP
#define BATON_BATON_HPP

#if __cplusplus < 201703L
#error "<baton/baton.hpp> needs C++17"
#endif

#include <baton/sched.h>
#include <baton/sync.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

namespace baton {

/* Throws what a call returned, if that is an error. */
inline void must(int err, const char *what)
{
	if (err < 0)
		throw std::system_error(-err, std::generic_category(), what);
}

/* True: 0; false: the deadline came; else throws. */
inline bool must_in_time(int err, const char *what)
{
	if (err == -ETIMEDOUT)
		return false;
	must(err, what);
	return true;
}

/* The error, if there is one, that a request ended with. */
inline std::error_code code(int err) noexcept
{
	return std::error_code(err < 0 ? -err : 0, std::generic_category());
}

class deadline {
public:
	deadline(std::uint64_t ns) noexcept : ns_(ns) {}
	template <class D>
	deadline(const std::chrono::time_point<std::chrono::steady_clock, D> &at) noexcept
		: ns_(at.time_since_epoch().count() < 0 ? 0 : static_cast<std::uint64_t>(
			std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count()))
	{
	}
	std::uint64_t ns() const noexcept { return ns_; }

private:
	std::uint64_t ns_;
};

namespace detail {

/* A pointer to an object of the library, that is ended by End. */
template <class T, auto End>
class owner {
public:
	owner() noexcept = default;
	explicit owner(T *p) noexcept : p_(p) {}
	owner(owner &&other) noexcept : p_(std::exchange(other.p_, nullptr)) {}
	owner &operator=(owner &&other) noexcept
	{
		if (this != &other) {
			end();
			p_ = std::exchange(other.p_, nullptr);
		}
		return *this;
	}
	~owner() { end(); }
	T *c() const noexcept { return p_; }
	explicit operator bool() const noexcept { return p_; }

protected:
	void end() noexcept
	{
		if (p_)
			End(p_);
		p_ = nullptr;
	}
	T *p_ = nullptr;
};

/* A function and what it captured, at an address that stays. */
struct closure {
	virtual ~closure() = default;
	virtual void run() = 0;
	static void call(void *arg) noexcept { static_cast<closure *>(arg)->run(); }
};

template <class F>
struct closure_of final : closure {
	explicit closure_of(F &&f) : f_(std::move(f)) {}
	explicit closure_of(const F &f) : f_(f) {}
	void run() override { f_(); }
	F f_;
};

template <class F>
std::unique_ptr<closure> make_closure(F &&f)
{
	return std::make_unique<closure_of<std::decay_t<F>>>(std::forward<F>(f));
}

/*
 * The last request's end can be seen a moment before the scheduler has done with it, and the scheduler's end then says
 * EBUSY. There is no call that waits for that moment.
 */
inline void end_sched(baton_sched *s) noexcept
{
	while (baton_sched_destroy(s) == -EBUSY)
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

} // namespace detail

inline baton_sched_opts sched_opts() noexcept
{
	baton_sched_opts o{};

	o.sz = sizeof(o);
	return o;
}

inline baton_tenant_opts tenant_opts(unsigned low_ppm, unsigned high_ppm, const char *name = nullptr) noexcept
{
	baton_tenant_opts o{};

	o.sz = sizeof(o);
	o.low_ppm = low_ppm;
	o.high_ppm = high_ppm;
	o.name = name;
	return o;
}

inline baton_request_opts request_opts(baton_class cls) noexcept
{
	baton_request_opts o{};

	o.sz = sizeof(o);
	o.cls = cls;
	return o;
}

/* The handle of a request. With a function of C++: the handle's end waits for the request's, as the function is the handle's. */
class request : public detail::owner<baton_request, baton_request_put> {
public:
	request() noexcept = default;
	explicit request(baton_request *r) noexcept : owner(r) {}
	request(request &&) noexcept = default;
	request &operator=(request &&other) noexcept
	{
		if (this != &other) {
			finish();
			owner::operator=(std::move(other));
			closure_ = std::move(other.closure_);
		}
		return *this;
	}
	~request() { finish(); }

	/* Until it has ended, however it did. */
	std::error_code wait_code() { return code(baton_request_wait(p_)); }
	/* Throws, too, what the request ended with. */
	void wait() { must(baton_request_wait(p_), "baton_request_wait"); }
	/* False: not by then. */
	bool wait_until(deadline at, std::error_code &result)
	{
		int r = 0;
		bool ended = must_in_time(baton_request_wait_until(p_, at.ns(), &r), "baton_request_wait_until");

		result = code(r);
		return ended;
	}
	void cancel() noexcept { baton_request_cancel(p_); }
	struct baton_request_times times() const noexcept
	{
		struct baton_request_times t{};

		baton_request_times(p_, &t, sizeof(t));
		return t;
	}

private:
	friend class tenant;
	void finish() noexcept
	{
		/* The function is in use until then; in a child of fork() nobody uses it. */
		if (p_ && closure_)
			baton_request_wait(p_);
	}
	std::unique_ptr<detail::closure> closure_;
};

/* A tenant; its memory is the scheduler's. Copied freely. */
class tenant {
public:
	tenant() noexcept = default;
	explicit tenant(baton_tenant *t) noexcept : t_(t) {}
	baton_tenant *c() const noexcept { return t_; }
	explicit operator bool() const noexcept { return t_; }

	/* A function of C, as opts say. */
	request submit(const baton_request_opts &opts) const
	{
		baton_request *r = nullptr;

		must(baton_submit(t_, &opts, &r), "baton_submit");
		return request(r);
	}
	/* Any function without arguments. opts.fn and opts.arg are not looked at. */
	template <class F>
	request submit(baton_request_opts opts, F &&f) const
	{
		auto closure = detail::make_closure(std::forward<F>(f));
		request r;

		opts.fn = detail::closure::call;
		opts.arg = closure.get();
		r = submit(opts);
		r.closure_ = std::move(closure);
		return r;
	}
	template <class F>
	request submit(baton_class cls, F &&f) const
	{
		return submit(request_opts(cls), std::forward<F>(f));
	}
	void set(const baton_tenant_opts &opts) const { must(baton_tenant_set(t_, &opts), "baton_tenant_set"); }
	/* No more requests; the tenant is not to be used any more. */
	void remove() noexcept
	{
		baton_tenant_remove(t_);
		t_ = nullptr;
	}
	struct baton_tenant_stats stats() const noexcept
	{
		struct baton_tenant_stats st{};

		baton_tenant_stats(t_, &st, sizeof(st));
		return st;
	}

private:
	baton_tenant *t_ = nullptr;
};

/* A tenant that was looked up by its name, and is given back. */
class found_tenant : public detail::owner<baton_tenant, baton_tenant_put> {
public:
	using owner::owner;
	tenant get() const noexcept { return tenant(p_); }
};

/* The end waits for requests in flight. */
class scheduler : public detail::owner<baton_sched, detail::end_sched> {
public:
	explicit scheduler(const baton_sched_opts &opts = sched_opts()) { must(baton_sched_create(&p_, &opts), "baton_sched_create"); }
	tenant add(const baton_tenant_opts &opts)
	{
		baton_tenant *t = nullptr;

		must(baton_tenant_add(p_, &t, &opts), "baton_tenant_add");
		return tenant(t);
	}
	/* Empty: there is no tenant of that name. */
	found_tenant find(const char *name)
	{
		baton_tenant *t = nullptr;
		int err = baton_tenant_find(p_, name, &t);

		if (err != -ENOENT)
			must(err, "baton_tenant_find");
		return found_tenant(t);
	}
	void set_slots(unsigned n) { must(baton_sched_set_slots(p_, n), "baton_sched_set_slots"); }
	void set_capacity(std::uint64_t ns) { must(baton_sched_set_capacity(p_, ns), "baton_sched_set_capacity"); }
};

/* The calling thread is a task of a request, until the end of the scope. */
class entered {
public:
	entered(tenant t, const baton_request_opts &opts)
	{
		baton_request *r = nullptr;
		int err = baton_request_enter(t.c(), &opts, &r);

		request_ = request(r);
		must(err, "baton_request_enter");
	}
	entered(const entered &) = delete;
	entered &operator=(const entered &) = delete;
	~entered() { baton_request_leave(); }
	request &handle() noexcept { return request_; }

private:
	request request_;
};

/* A further task of the caller's request. From a task; the end joins, and so does assignment. */
class task {
public:
	task() noexcept = default;
	template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, task>>>
	explicit task(F &&f) : closure_(detail::make_closure(std::forward<F>(f)))
	{
		must(baton_task_spawn(&t_, detail::closure::call, closure_.get()), "baton_task_spawn");
	}
	task(task &&other) noexcept : t_(std::exchange(other.t_, nullptr)), closure_(std::move(other.closure_)) {}
	task &operator=(task &&other) noexcept
	{
		if (this != &other) {
			finish();
			t_ = std::exchange(other.t_, nullptr);
			closure_ = std::move(other.closure_);
		}
		return *this;
	}
	/* An error, as EDEADLK, ends the process here: join() before, where workers may run out. */
	~task() { finish(); }
	bool joinable() const noexcept { return t_; }
	void join()
	{
		must(baton_task_join(t_), "baton_task_join");
		t_ = nullptr;
	}
	bool join_until(deadline at)
	{
		bool ended = must_in_time(baton_task_join_until(t_, at.ns()), "baton_task_join_until");

		if (ended)
			t_ = nullptr;
		return ended;
	}
	baton_task *c() const noexcept { return t_; }

private:
	void finish() noexcept
	{
		if (t_)
			join();
	}
	baton_task *t_ = nullptr;
	std::unique_ptr<detail::closure> closure_;
};

/* News for the request: nothing, ETIME or ECANCELED. */
inline std::error_code checkpoint() noexcept { return code(baton_checkpoint()); }
inline std::error_code sleep_until(deadline at) noexcept { return code(baton_sleep_until(at.ns())); }

/* The slot is somebody else's until the end of the scope. */
class blocking {
public:
	blocking() noexcept { baton_blocking_begin(); }
	blocking(const blocking &) = delete;
	blocking &operator=(const blocking &) = delete;
	~blocking() { baton_blocking_end(); }
};

/* A Lockable: for std::lock_guard, std::unique_lock, std::scoped_lock. */
class mutex : public detail::owner<baton_mutex, baton_mutex_destroy> {
public:
	explicit mutex(const scheduler &s) { must(baton_mutex_create(&p_, s.c()), "baton_mutex_create"); }
	void lock() { must(baton_mutex_lock(p_), "baton_mutex_lock"); }
	bool try_lock()
	{
		int err = baton_mutex_trylock(p_);

		if (err == -EBUSY)
			return false;
		must(err, "baton_mutex_trylock");
		return true;
	}
	bool try_lock_until(deadline at) { return must_in_time(baton_mutex_lock_until(p_, at.ns()), "baton_mutex_lock_until"); }
	template <class R, class P>
	bool try_lock_for(const std::chrono::duration<R, P> &d) { return try_lock_until(std::chrono::steady_clock::now() + d); }
	/* By the holder, else std::terminate(). */
	void unlock() noexcept { must(baton_mutex_unlock(p_), "baton_mutex_unlock"); }
};

/* A SharedLockable: for std::shared_lock, and as a mutex. */
class rwlock : public detail::owner<baton_rwlock, baton_rwlock_destroy> {
public:
	explicit rwlock(const scheduler &s) { must(baton_rwlock_create(&p_, s.c()), "baton_rwlock_create"); }
	void lock() { must(baton_rwlock_wrlock(p_), "baton_rwlock_wrlock"); }
	bool try_lock() { return tried(baton_rwlock_trywrlock(p_)); }
	bool try_lock_until(deadline at) { return must_in_time(baton_rwlock_wrlock_until(p_, at.ns()), "baton_rwlock_wrlock_until"); }
	template <class R, class P>
	bool try_lock_for(const std::chrono::duration<R, P> &d) { return try_lock_until(std::chrono::steady_clock::now() + d); }
	void unlock() noexcept { must(baton_rwlock_unlock(p_), "baton_rwlock_unlock"); }
	void lock_shared() { must(baton_rwlock_rdlock(p_), "baton_rwlock_rdlock"); }
	bool try_lock_shared() { return tried(baton_rwlock_tryrdlock(p_)); }
	bool try_lock_shared_until(deadline at) { return must_in_time(baton_rwlock_rdlock_until(p_, at.ns()), "baton_rwlock_rdlock_until"); }
	template <class R, class P>
	bool try_lock_shared_for(const std::chrono::duration<R, P> &d)
	{
		return try_lock_shared_until(std::chrono::steady_clock::now() + d);
	}
	void unlock_shared() noexcept { unlock(); }

private:
	static bool tried(int err)
	{
		if (err == -EBUSY)
			return false;
		must(err, "baton_rwlock");
		return true;
	}
};

class condition : public detail::owner<baton_cond, baton_cond_destroy> {
public:
	explicit condition(const scheduler &s) { must(baton_cond_create(&p_, s.c()), "baton_cond_create"); }
	void wait(std::unique_lock<mutex> &l) { must(baton_cond_wait(p_, l.mutex()->c()), "baton_cond_wait"); }
	template <class Pred>
	void wait(std::unique_lock<mutex> &l, Pred pred)
	{
		while (!pred())
			wait(l);
	}
	/* The lock is held afterwards, whatever comes. */
	bool wait_until(std::unique_lock<mutex> &l, deadline at)
	{
		return must_in_time(baton_cond_wait_until(p_, l.mutex()->c(), at.ns()), "baton_cond_wait_until");
	}
	template <class Pred>
	bool wait_until(std::unique_lock<mutex> &l, deadline at, Pred pred)
	{
		while (!pred())
			if (!wait_until(l, at))
				return pred();
		return true;
	}
	void notify_one() noexcept { baton_cond_signal(p_); }
	void notify_all() noexcept { baton_cond_broadcast(p_); }
};

class semaphore : public detail::owner<baton_sem, baton_sem_destroy> {
public:
	semaphore(const scheduler &s, unsigned count) { must(baton_sem_create(&p_, s.c(), count), "baton_sem_create"); }
	void acquire() { must(baton_sem_wait(p_), "baton_sem_wait"); }
	bool try_acquire_until(deadline at) { return must_in_time(baton_sem_wait_until(p_, at.ns()), "baton_sem_wait_until"); }
	void release() noexcept { baton_sem_post(p_); }
};

namespace detail {

class raw_channel : public owner<baton_chan, baton_chan_destroy> {
public:
	raw_channel(const scheduler &s, unsigned capacity) { must(baton_chan_create(&p_, s.c(), capacity), "baton_chan_create"); }
	/* From then on nothing is sent; what is there is received. */
	void close() noexcept { baton_chan_close(p_); }

protected:
	/* False: closed. */
	static bool open(int err, const char *what)
	{
		if (err == -EPIPE)
			return false;
		must(err, what);
		return true;
	}
	bool send_item(void *item) { return open(baton_chan_send(p_, item), "baton_chan_send"); }
	bool recv_item(void **item) { return open(baton_chan_recv(p_, item), "baton_chan_recv"); }
};

} // namespace detail

/* Items on the heap, each of one owner: the sender's, the channel's, the receiver's. */
template <class T>
class channel : public detail::raw_channel {
public:
	using item = std::unique_ptr<T>;

	using raw_channel::raw_channel;
	channel(channel &&) noexcept = default;
	channel &operator=(channel &&) = delete;
	/* Items that nobody received end here. */
	~channel()
	{
		void *left;

		if (!p_)
			return;
		close();
		while (!baton_chan_recv(p_, &left))
			delete static_cast<T *>(left);
	}
	/* False: closed, and the item is still the caller's. */
	bool send(item &&what)
	{
		if (!send_item(what.get()))
			return false;
		what.release();
		return true;
	}
	/* False: not by then, or closed; the item is still the caller's. */
	bool send_until(item &&what, deadline at)
	{
		int err = baton_chan_send_until(p_, what.get(), at.ns());

		if (err == -EPIPE || !must_in_time(err, "baton_chan_send_until"))
			return false;
		what.release();
		return true;
	}
	/* Empty: closed, and nothing is left. */
	item recv()
	{
		void *got = nullptr;

		return item(recv_item(&got) ? static_cast<T *>(got) : nullptr);
	}
	/* Empty: not by then, or closed and nothing is left. */
	item recv_until(deadline at)
	{
		void *got = nullptr;
		int err = baton_chan_recv_until(p_, &got, at.ns());

		return item(err != -EPIPE && must_in_time(err, "baton_chan_recv_until") ? static_cast<T *>(got) : nullptr);
	}
};

/* Pointers that are nobody's in particular. */
template <class T>
class channel<T *> : public detail::raw_channel {
public:
	using item = T *;

	using raw_channel::raw_channel;
	bool send(T *what) { return send_item(what); }
	std::optional<T *> recv()
	{
		void *got = nullptr;

		return recv_item(&got) ? std::optional<T *>(static_cast<T *>(got)) : std::nullopt;
	}
};

} // namespace baton

#endif
