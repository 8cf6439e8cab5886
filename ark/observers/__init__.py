"""What the world hears of Ark: none of it can fail or slow a run, and no secret leaves through it.

events        what happened, as one flat record       event_log     where records go: a file, or Kafka
kafka_events  records into Kafka, never waiting       alerts        one Sentry event per kind of failure
logs          lines for people                        append        a file that many processes append to
"""
