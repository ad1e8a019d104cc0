"""S3 operations that SeaweedFS 4.48 does not know and takes for another one (measured, one request each).

It ignores a sub-resource that it does not know: ``DELETE /bucket?website`` deletes the bucket, ``PUT /bucket?logging``
tries to make it, ``GET /bucket/key?torrent`` gives the object. What we allowed and recorded would not be what happened,
so these are refused before they get there.
"""

MISUNDERSTOOD = frozenset(
    {
        "DeleteBucketAnalyticsConfiguration",
        "DeleteBucketIntelligentTieringConfiguration",
        "DeleteBucketInventoryConfiguration",
        "DeleteBucketMetricsConfiguration",
        "DeleteBucketReplication",
        "DeleteBucketWebsite",
        "GetObjectTorrent",
        "PutBucketAccelerateConfiguration",
        "PutBucketAnalyticsConfiguration",
        "PutBucketIntelligentTieringConfiguration",
        "PutBucketInventoryConfiguration",
        "PutBucketLogging",
        "PutBucketMetricsConfiguration",
        "PutBucketNotificationConfiguration",
        "PutBucketReplication",
        "PutBucketWebsite",
    }
)
