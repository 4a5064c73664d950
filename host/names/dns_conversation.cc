#include "host/names/dns_conversation.h"

#include <boost/asio/this_coro.hpp>
#include <exception>

#include "host/names/dns_framing.h"

// Theory of operation
//
// Resolvers send several queries at once: the C library asks for A and AAAA from one socket, and stream
// clients send without waiting (RFC 7766 6.2.1.1). So each query is a task, and a slow server holds up only
// the names it is asked for.
//
// A connection takes one write at a time. A task with an answer adds it to the queue; whoever finds nobody
// writing writes until the queue is empty. The queue is bounded because an unwritten answer keeps its query's
// place, of which there are max_outstanding: a guest that asks and never reads stops itself.
//
// At the end of a stream the queries already read are answered first: the guest may have closed its direction
// only. A datagram connection ends when it has been idle too long, and a broken one has nobody to answer:
// their queries are given up.

namespace nsrun {
namespace {

// Of a query in a datagram: room set aside while the guest is silent, so not more than queries need. A longer
// one is cut, and answered with a format error.
constexpr std::size_t max_query_datagram = 1232;  // bytes
// Of a query under way: its tasks, its datagram, and room for a server's answer.
constexpr std::size_t query_cost = 16 << 10;  // bytes

}  // namespace

DnsConversation::DnsConversation(Executor executor, Connection& guest, DnsAnswerer answerer,
                                 MemoryShare* memory, Clock::duration idle)
    : guest_(guest),
      answerer_(std::move(answerer)),
      memory_(memory),
      idle_(idle),
      room_(executor),
      queries_(executor) {}

Task<> DnsConversation::run() {
  std::exception_ptr failure;
  try {
    co_await converse();
  } catch (...) {
    failure = std::current_exception();
  }
  // A cancelled task cannot even begin to wait, and the queries' tasks must end before this one.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await queries_.cancel_and_join();
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (failure) std::rethrow_exception(failure);
}

Task<> DnsConversation::converse() {
  const bool stream = guest_.transport() == Transport::stream;
  while (auto query = co_await next_query()) {
    while (full()) co_await room_.wait();
    // Without memory for it a query is dropped, on a stream too: the guest asks again.
    if (query->memory.add(query_cost, MemoryUse::ahead))
      queries_.spawn(answer_one(std::move(*query), take_place()));
  }
  if (!stream || broken_) co_return;
  co_await queries_.join();
  if (!broken_) guest_.finish();
}

Task<std::optional<DnsConversation::Query>> DnsConversation::next_query() {
  MemoryCharge memory(memory_);
  if (guest_.transport() == Transport::datagram) {
    auto query = co_await read_dns_message(guest_, max_query_datagram);
    if (!query || !*query) co_return std::nullopt;
    co_return Query{std::move(**query), std::move(memory)};
  }
  auto query = co_await within(idle_, read_dns_message(guest_, 0, &memory));
  if (!query) co_return std::nullopt;
  broken_ = broken_ || !*query;
  if (broken_ || !**query) co_return std::nullopt;
  co_return Query{std::move(***query), std::move(memory)};
}

DnsConversation::Place DnsConversation::take_place() {
  ++outstanding_;
  return Place(this);
}

Task<> DnsConversation::answer_one(Query query, Place place) {
  auto answers = co_await answerer_(query.message, guest_.transport());
  for (const auto& answer : answers) query.memory.add_always(answer.size());
  if (answers.empty()) co_return;
  Unwritten unwritten{std::move(answers), std::move(place), std::move(query.memory)};
  co_await deliver(std::move(unwritten));
}

Task<> DnsConversation::deliver(Unwritten answers) {
  unwritten_.push_back(std::move(answers));
  if (writing_) co_return;
  writing_ = true;
  while (!unwritten_.empty()) {
    const Unwritten next = std::move(unwritten_.front());
    unwritten_.pop_front();
    for (const auto& answer : next.answers) co_await write_one(answer);
  }
  writing_ = false;
}

Task<> DnsConversation::write_one(const DnsBytes& answer) {
  if (broken_) co_return;
  const auto written = co_await within(idle_, write_dns_message(guest_, answer));
  // A datagram that could not be written is lost, as datagrams are.
  if ((written && *written) || guest_.transport() == Transport::datagram) co_return;
  broken_ = true;
  guest_.reset();
}

}  // namespace nsrun
