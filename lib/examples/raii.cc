/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * C++: numbers through a channel, a sum under a mutex, a table under a lock for readers and writers, tasks and requests; all of it
 * ends by itself.
 */
#include <baton/baton.hpp>

#include <cstdio>
#include <vector>

int main()
{
	using namespace std::chrono_literals;

	baton::scheduler s;
	baton::tenant tenant = s.add(baton::tenant_opts(0, 500000, "one"));
	baton::channel<int> numbers(s, 8);
	baton::channel<int *> pointers(s, 1);
	baton::rwlock lock(s);
	baton::mutex mutex(s);
	baton::condition changed(s);
	baton::semaphore done(s, 0);
	long sum = 0, table = 0, wrong = 0;
	int one = 1;

	baton::request r = tenant.submit(BATON_BATCH, [&] {
		std::vector<baton::task> tasks;

		for (int i = 0; i < 3; i++)
			tasks.emplace_back([&] {
				while (auto n = numbers.recv()) {
					std::lock_guard<baton::mutex> guard(mutex);

					sum += *n;
					changed.notify_one();
				}
				std::shared_lock<baton::rwlock> reads(lock);

				wrong += table != 1;
				done.release();
			});
		{
			std::unique_lock<baton::rwlock> writes(lock, std::try_to_lock);

			if (writes)
				table++;
		}
		for (int i = 1; i <= 100; i++)
			if (!numbers.send(std::make_unique<int>(i)))
				wrong++;
		{
			std::unique_lock<baton::mutex> guard(mutex);

			changed.wait(guard, [&] { return sum == 5050; });
		}
		numbers.close();
		for (int i = 0; i < 3; i++)
			done.acquire();
		wrong += done.try_acquire_until(std::chrono::steady_clock::now() + 1ms);
		wrong += !pointers.send(&one) || *pointers.recv() != &one;
		wrong += numbers.send(std::make_unique<int>(1));
		{
			std::lock_guard<baton::mutex> guard(mutex);

			try {
				mutex.lock();
				wrong++;
			} catch (const std::system_error &e) {
				wrong += e.code() != std::errc::resource_deadlock_would_occur;
			}
		}
		wrong += bool(baton::checkpoint());
	});

	r.wait();
	wrong += !s.find("one") || s.find("two");
	{
		baton::entered here(tenant, baton::request_opts(BATON_BATCH));
		std::scoped_lock both(mutex, lock);

		sum++;
	}
	/* A request that is refused: the tenant has no low-latency quota. Its function ends as well. */
	try {
		tenant.submit(BATON_CRITICAL, [&] { wrong++; });
		wrong++;
	} catch (const std::system_error &e) {
		wrong += e.code().value() != EDQUOT;
	}
	std::printf("sum %ld, wrong %ld\n", sum, wrong);
	return sum != 5051 || wrong;
}
