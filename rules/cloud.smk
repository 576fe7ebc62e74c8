"""Clouds: from an FCS file to events in a store."""


rule import_cloud:
    input:
        unpack(named_inputs("import_cloud")),
    output:
        "results/{sample}/import_cloud/manifest.json",
    log:
        "logs/{sample}/import_cloud.log",
    benchmark:
        "benchmarks/{sample}/import_cloud.tsv"
    threads: 1
    params:
        settings=settings_digest("import_cloud"),
    message:
        "import-cloud {wildcards.sample}"
    shell:
        "triptych step import-cloud"
        " --out results/{wildcards.sample}/import_cloud --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"
