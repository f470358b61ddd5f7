# The reference numbers of test_against_r.py: Rscript cases.R > cases.json, in base R alone.
# PMCMRplus is on CRAN only; Conover's test is written out from Conover (1999), 5.2, with R's own rank(), pt() and p.adjust().
number <- function(x) paste0("[", paste(sprintf("%.15g", x), collapse = ", "), "]")
conover <- function(groups) {
  values <- unlist(groups); g <- rep(seq_along(groups), lengths(groups)); r <- rank(values)
  n <- length(values); k <- length(groups)
  s2 <- (sum(r^2) - n * (n + 1)^2 / 4) / (n - 1)
  h <- (sum(tapply(r, g, sum)^2 / lengths(groups)) - n * (n + 1)^2 / 4) / s2
  p <- c()
  for (i in 1:(k - 1)) for (j in (i + 1):k) {
    t <- abs(mean(r[g == i]) - mean(r[g == j])) / sqrt(s2 * (n - 1 - h) / (n - k) * (1 / sum(g == i) + 1 / sum(g == j)))
    p <- c(p, 2 * pt(-t, n - k))
  }
  p.adjust(p, "holm")
}
groups <- list(
  apart = list(c(10.1, 10.4, 9.8, 10.2, 10.0), c(10.9, 11.2, 10.7, 11.0, 10.3), c(8.1, 8.4, 8.6, 7.9, 8.2)),
  tied = list(c(1, 2, 2, 3), c(2, 3, 3, 4, 4), c(1, 1, 2), c(5, 5, 4, 3)),
  uneven = list(c(1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30), c(0.878, 0.647, 0.598, 2.05, 1.06, 1.29)),
  alike = list(c(3.1, 2.9, 3.0), c(3.05, 2.95, 3.15), c(2.85, 3.2, 3.02))
)
pairs <- list(
  exact = list(c(1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30), c(0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)),
  tied = list(c(82, 83, 91, 90, 88, 86, 79), c(81, 82, 90, 88, 89, 84, 79))
)
discordant <- list(few = c(9, 2), even = c(5, 5), many = c(41, 19))
out <- c()
for (name in names(groups)) {
  k <- kruskal.test(groups[[name]])
  data <- paste0("[", paste(sapply(groups[[name]], number), collapse = ", "), "]")
  out <- c(out, sprintf('  {"case": "groups %s", "groups": %s, "h": %.15g, "p": %.15g, "conover_holm": %s}',
    name, data, k$statistic, k$p.value, number(conover(groups[[name]]))))
}
for (name in names(pairs)) {
  p <- suppressWarnings(wilcox.test(pairs[[name]][[1]], pairs[[name]][[2]], paired = TRUE)$p.value)
  out <- c(out, sprintf('  {"case": "pairs %s", "one": %s, "other": %s, "p": %.15g}', name, number(pairs[[name]][[1]]), number(pairs[[name]][[2]]), p))
}
for (name in names(discordant)) {
  d <- discordant[[name]]
  # the exact test of McNemar is the binomial one of the discordant pairs; mcnemar.test has the approximation only
  out <- c(out, sprintf('  {"case": "discordant %s", "lost": %d, "won": %d, "p": %.15g, "p_approximate": %.15g}', name, d[1], d[2],
    binom.test(d[1], sum(d))$p.value, mcnemar.test(matrix(c(100, d[1], d[2], 100), 2))$p.value))
}
out <- c(out, sprintf('  {"case": "holm", "given": [0.01, 0.04, 0.03, 0.005, 0.9], "p": %s}', number(p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.9), "holm"))))
cat("[\n", paste(out, collapse = ",\n"), "\n]\n", sep = "")
