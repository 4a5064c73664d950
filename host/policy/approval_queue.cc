#include "host/policy/approval_queue.h"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

// Theory of operation
//
// A question is open from the first flow that has it until it is answered or its time is over; flows that
// have it meanwhile wait for the same answer, each on its own loop. Who asked may be gone when the answer
// comes (the guest gave up, the sandbox ended), and who answers may keep its Reply for ever. So the open
// questions are shared between the queue and every Reply, and a waiter between its task and the open
// question; an answer is brought to a waiter by a post to its loop, which exists as long as the waiter is
// listed.
//
// An answer "always" is kept whenever it comes, also too late for the flow that was the reason to ask.

namespace nsrun {
namespace {

constexpr std::size_t max_open_questions = 256;        // questions; what is asked beyond is denied
constexpr std::size_t max_remembered_answers = 65536;  // answers "always"; later ones count once

}  // namespace

struct ApprovalQueue::Waiter {
  explicit Waiter(Executor executor) : timer(executor) {}
  Timer timer;
  std::optional<Answer> answer;  // written under the lock
};

struct ApprovalQueue::Questions {
  struct Open {
    Clock::time_point deadline;
    std::list<std::shared_ptr<Waiter>> waiters;
  };

  std::mutex lock;  // of all below
  std::map<Question, Open> open;
  std::map<Question, Answer> remembered;
  bool told = false;  // that an answer did not come

  void answered(const Question& question, Answer answer) {
    const std::lock_guard hold(lock);
    if (answer.always && remembered.size() < max_remembered_answers) remembered.try_emplace(question, answer);
    const auto found = open.find(question);
    if (found == open.end()) return;
    for (auto& waiter : found->second.waiters) {
      waiter->answer = answer;
      asio::post(waiter->timer.get_executor(), [waiter] { waiter->timer.cancel(); });
    }
    open.erase(found);
  }

  // An answer that is known, or whether the question is new; `waiter` is listed with it then.
  std::optional<Answer> enlist(const Question& question, const std::shared_ptr<Waiter>& waiter,
                               Clock::duration limit, bool& is_new) {
    const auto now = Clock::now();
    const std::lock_guard hold(lock);
    if (const auto known = remembered.find(question); known != remembered.end()) return known->second;
    std::erase_if(open, [&](const auto& entry) {
      return entry.second.deadline <= now && entry.second.waiters.empty();
    });
    if (open.size() >= max_open_questions && !open.contains(question)) return Answer{};
    auto [entry, added] = open.try_emplace(question, Open{now + limit, {}});
    is_new = added;
    entry->second.waiters.push_back(waiter);
    waiter->timer.expires_at(entry->second.deadline);
    return std::nullopt;
  }

  void leave(const Question& question, const std::shared_ptr<Waiter>& waiter) {
    const std::lock_guard hold(lock);
    if (const auto found = open.find(question); found != open.end()) found->second.waiters.remove(waiter);
  }
};

ApprovalQueue::ApprovalQueue(AskFunction ask, Clock::duration limit, Warn warn)
    : ask_(std::move(ask)),
      limit_(limit),
      warn_(std::move(warn)),
      questions_(std::make_shared<Questions>()) {}

Task<Answer> ApprovalQueue::ask(Question question) {
  // Leaves the list however the task ends: its loop may end with it.
  struct Listed {
    ~Listed() { questions->leave(question, waiter); }
    std::shared_ptr<Questions> questions;
    Question question;
    std::shared_ptr<Waiter> waiter;
  };
  const Executor executor = co_await asio::this_coro::executor;
  Listed listed{questions_, std::move(question), std::make_shared<Waiter>(executor)};
  bool is_new = false;
  if (const auto known = questions_->enlist(listed.question, listed.waiter, limit_, is_new)) co_return *known;
  if (is_new)
    ask_(listed.question, [questions = questions_, asked = listed.question](Answer answer) {
      questions->answered(asked, answer);
    });
  co_await listed.waiter->timer.async_wait(use_result);

  std::string trouble;
  std::optional<Answer> answer;
  {
    const std::lock_guard hold(questions_->lock);
    answer = listed.waiter->answer;
    if (!answer && Clock::now() >= listed.waiter->timer.expiry() && !std::exchange(questions_->told, true))
      trouble = "what is asked was not answered in time, and is denied; this is said once";
  }
  if (!trouble.empty()) warn_(trouble);
  co_return answer.value_or(Answer{});
}

}  // namespace nsrun
