#pragma once

#include <functional>
#include <memory>

#include "runtime/address.h"

namespace nsrun {

// A bounded number of places for clients whom nobody has identified yet, shared fairly among their addresses:
//
//   - One address gets at most half of the places. (This machine's own loopback, and clients without an
//     address, are not one peer: they may have them all.)
//   - When no place is free, a client that came earlier gives way: the oldest of the address that holds the
//     most, else the oldest of all.
//
// So a peer that opens connections and stays silent displaces its own connections, and a client that goes on
// at once is served. IPv6 addresses count by their /64 network, all of which one machine may use.
class ClientQuota {
 public:
  // Whether the client gives way. It must not go on if it does: its place is another's already.
  using GiveWay = std::function<bool()>;

  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept { swap(other); }
    Place& operator=(Place&& other) noexcept {
      Place(std::move(other)).swap(*this);
      return *this;
    }
    ~Place();
    explicit operator bool() const { return taken_ != nullptr; }

   private:
    friend class ClientQuota;
    void swap(Place& other) noexcept {
      std::swap(taken_, other.taken_);
      std::swap(number_, other.number_);
    }
    std::shared_ptr<struct TakenPlaces> taken_;
    std::uint64_t number_ = 0;
  };

  explicit ClientQuota(std::size_t most);
  // An empty place: nobody gave way. `give_way` may be asked as long as the place is kept; empty: it never
  // gives way.
  Place take(const IpAddress& client, GiveWay give_way);
  std::size_t taken() const;

 private:
  const std::size_t most_;
  std::shared_ptr<TakenPlaces> taken_;  // places may outlive us
};

}  // namespace nsrun
