package node

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// serveMetrics serves /metrics and /health on a listener of their own. No
// label carries a value, name or id of an object: partners go by call sign.
func (n *Node) serveMetrics(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", n.Config.Metrics)
	if err != nil {
		return noroshi.Errorf(noroshi.Invalid, "serve.listen", "listen on %s: %w", n.Config.Metrics, err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), nodeCollector{n})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /health", n.health)
	return serveHTTP(ctx, l, mux)
}

// health answers 200 while the store can be read and 503 when not.
func (n *Node) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	_, err := n.Store.Head(ctx)
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(map[string]bool{"healthy": err == nil})
}

var (
	metricArmed   = prometheus.NewDesc("noroshi_indicators_armed", "Indicators in the matching index.", nil, nil)
	metricFeed    = prometheus.NewDesc("noroshi_feed_sequence", "Last sequence of the local change feed.", nil, nil)
	metricWaiting = prometheus.NewDesc("noroshi_link_waiting", "Messages a partner has not receipted.", []string{"partner", "precedence"}, nil)
	metricUp      = prometheus.NewDesc("noroshi_link_up", "Whether the partner was heard of lately.", []string{"partner"}, nil)
	metricOut     = prometheus.NewDesc("noroshi_link_out_head", "Last sequence of our stream to the partner.", []string{"partner"}, nil)
	metricSent    = prometheus.NewDesc("noroshi_siem_sent_total", "Events the SIEM has read.", []string{"siem"}, nil)
	metricKept    = prometheus.NewDesc("noroshi_siem_withheld_total", "Events above the highest label of the SIEM.", []string{"siem"}, nil)
	metricBehind  = prometheus.NewDesc("noroshi_siem_behind", "Acts and changes the SIEM was not told of yet.", []string{"siem"}, nil)
	metricFailing = prometheus.NewDesc("noroshi_siem_failing", "Whether nothing goes to the SIEM.", []string{"siem"}, nil)
	metricFeedAge = prometheus.NewDesc("noroshi_feed_success_age_seconds", "Since the feed was last read well, or was added.", []string{"feed"}, nil)
	metricFeedBad = prometheus.NewDesc("noroshi_feed_failures", "Runs of the feed in a row that did not go well.", []string{"feed"}, nil)
	metricFeedFor = prometheus.NewDesc("noroshi_feed_waiting", "Elements of the feed that wait for a person.", []string{"feed"}, nil)
	metricMail    = prometheus.NewDesc("noroshi_mail_total", "Letters, by what became of them; taken counts envelopes.", []string{"what"}, nil)
	metricIn      = prometheus.NewDesc("noroshi_link_in_applied", "Messages of the partner applied here.", []string{"partner"}, nil)
)

// nodeCollector reads the node's figures when it is asked for them.
type nodeCollector struct{ n *Node }

// Describe names the metrics.
func (c nodeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{metricArmed, metricFeed, metricWaiting, metricUp, metricOut, metricIn, metricSent, metricKept, metricBehind, metricFailing, metricFeedAge, metricFeedBad, metricFeedFor, metricMail} {
		ch <- d
	}
}

// Collect reads the figures.
func (c nodeCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if a, err := c.n.Watch.Armed(ctx); err == nil && !a.Loading { // after a start nothing is in it yet, and nothing was disarmed
		gauge(metricArmed, float64(a.Indicators))
	}
	if head, err := c.n.Store.Head(ctx); err == nil {
		gauge(metricFeed, float64(head))
	}
	c.siems(ctx, ch)
	c.feeds(ctx, ch)
	c.mail(ch)
	links, err := c.n.Courier.Links(ctx)
	if err != nil {
		return
	}
	for _, l := range links {
		p := string(l.CallSign)
		up := 0.0
		if l.Up {
			up = 1
		}
		gauge(metricUp, up, p)
		gauge(metricOut, float64(l.OutHead), p)
		gauge(metricIn, float64(l.InApplied), p)
		for prec, count := range l.Waiting {
			gauge(metricWaiting, float64(count), p, prec)
		}
	}
}

// feeds reads the figures of the feeds, which go by their names.
func (c nodeCollector) feeds(ctx context.Context, ch chan<- prometheus.Metric) {
	list, err := c.n.Feeds.Statuses(ctx)
	if err != nil {
		return
	}
	for _, f := range list {
		last := f.Added
		if f.State.Good.After(last) {
			last = f.State.Good
		}
		ch <- prometheus.MustNewConstMetric(metricFeedAge, prometheus.GaugeValue, c.n.opts.Now().Sub(last).Seconds(), f.Name)
		ch <- prometheus.MustNewConstMetric(metricFeedBad, prometheus.GaugeValue, float64(f.State.Failures), f.Name)
		ch <- prometheus.MustNewConstMetric(metricFeedFor, prometheus.GaugeValue, float64(f.State.Waiting), f.Name)
	}
}

// mail reads the figures of the channel by e-mail, if there is one.
func (c nodeCollector) mail(ch chan<- prometheus.Metric) {
	if c.n.mail == nil {
		return
	}
	x := c.n.mail.Counts()
	for what, n := range map[string]int64{"sent": x.Sent, "deferred": x.Deferred, "refused": x.Refused, "came": x.Came, "taken": x.Taken,
		"dropped": x.Dropped, "late": x.Late, "cleared": x.Cleared} {
		ch <- prometheus.MustNewConstMetric(metricMail, prometheus.CounterValue, float64(n), what)
	}
}

// siems reads the figures of the SIEMs, which go by their names.
func (c nodeCollector) siems(ctx context.Context, ch chan<- prometheus.Metric) {
	list, err := c.n.siems(ctx)
	if err != nil {
		return
	}
	for _, s := range list {
		failing := 0.0
		if s.Error.Message != "" {
			failing = 1
		}
		ch <- prometheus.MustNewConstMetric(metricSent, prometheus.CounterValue, float64(s.Sent), s.Name)
		ch <- prometheus.MustNewConstMetric(metricKept, prometheus.CounterValue, float64(s.Withheld), s.Name)
		ch <- prometheus.MustNewConstMetric(metricBehind, prometheus.GaugeValue, float64(s.Behind), s.Name)
		ch <- prometheus.MustNewConstMetric(metricFailing, prometheus.GaugeValue, failing, s.Name)
	}
}
