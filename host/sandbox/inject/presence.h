#pragma once

#include <mutex>

namespace nsrun {

// Whether a thread is here, where it may use what belongs to others, or away: in a call that lasts as long as
// somebody hostile likes. Who is away can be written off; should it come back then, it sleeps for ever, and
// what it holds stays with it.
class Presence {
 public:
  // By the thread itself, first and last of all: before and after, away() only calls.
  void arrive() { come_back(); }
  void depart() { go_away(); }
  template <class Call>
  decltype(auto) away(Call&& call) {
    const Absence absence(*this);
    return call();
  }
  // By another thread, which goes on only where this is true; false: it is here, and will soon be elsewhere.
  bool write_off();

 private:
  struct Absence {
    explicit Absence(Presence& whose) : whose_(whose) { whose_.go_away(); }
    ~Absence() { whose_.come_back(); }
    Absence(const Absence&) = delete;
    Presence& whose_;
  };
  void go_away();
  void come_back();

  std::mutex here_;  // held by the thread while it is here
  bool written_off_ = false;
  int absences_ = 1;  // one inside the other; the thread's own
};

}  // namespace nsrun
