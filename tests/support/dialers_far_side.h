#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/connection.h"
#include "tests/support/dialers_loop.h"

// The far side of a dial: servers on loopback and what they do with a connection.

namespace nsrun::test {

// What a server does with one connection.
using Behaviour = std::function<Task<>(std::unique_ptr<Connection>)>;

// Gives back what it reads until the end, then finishes.
Task<> echo(std::unique_ptr<Connection> connection);
// Both ways with half-close; a broken side breaks the other.
Task<> splice(Connection& one, Connection& other);

// Reads until the end. An error is thrown as ErrorException.
Task<std::string> read_all(Connection& from);
Task<> write_all(Connection& to, std::string bytes);

// Writes a byte at a time, each after a pause that is far shorter than `trickle_limit`, until the other end
// goes or all are written. That takes over ten times the limit for `trickled` bytes and more.
constexpr Clock::duration trickle_pause = 10ms, trickle_limit = 200ms;
constexpr std::size_t trickled = 250;
Task<> trickle(Connection& to, std::string bytes);

extern const IpAddress loopback4, loopback6;

UniqueFd listening_socket(const IpAddress& address, int backlog = 128);
UniqueFd listening_socket(const std::string& unix_path, int backlog = 128);
// Bound and never listening: connecting to it is refused, and no one else gets its port meanwhile.
UniqueFd bound_socket(const IpAddress& address, int type);
UniqueFd bound_socket(const std::string& unix_path);
Endpoint bound_endpoint(int socket);

// Accepts for ever, each connection on its own.
void serve_stream(Loop& loop, UniqueFd listener, Behaviour behaviour);
// Serves the first peer that sends something.
void serve_datagrams(Loop& loop, UniqueFd socket, Behaviour behaviour);

// Connections that fill the backlog of `listener`, so that the next one waits.
std::vector<UniqueFd> fill_backlog(int listener);

std::size_t open_descriptors();  // of this process

}  // namespace nsrun::test
